//! Instructions that must fault, and code that never ends.
#![expect(unsafe_code, reason = "the crash is the purpose")]

use core::arch::asm;

/// Executes UD2.
#[inline(never)]
pub(crate) fn undefined_instruction() {
    // SAFETY: none, the crash is the purpose. Were it to go on, nothing would have changed.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// Executes a privileged instruction.
#[inline(never)]
pub(crate) fn halt() {
    // SAFETY: none, the crash is the purpose. Were it to go on, nothing would have changed.
    unsafe { asm!("hlt", options(nomem, nostack)) };
}

/// Divides by zero, past the check that Rust makes.
#[inline(never)]
pub(crate) fn divide_by_zero() {
    // SAFETY: none, the crash is the purpose. The registers are declared.
    unsafe {
        asm!("div {divisor:e}", divisor = in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _,
            options(nomem, nostack));
    }
}

/// Never ends, and makes no call.
#[inline(never)]
pub(crate) fn loop_for_ever() {
    loop {
        core::hint::spin_loop();
    }
}

/// Panics.
#[inline(never)]
#[expect(clippy::panic, reason = "the panic is the purpose")]
pub(crate) fn panic_on_purpose() {
    panic!("on purpose");
}
