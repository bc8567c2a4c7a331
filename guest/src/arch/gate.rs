//! The gate page, and the one function that calls it.
#![expect(unsafe_code, reason = "a hypercall is a call into assembly")]

use hvcall::RawCall;

/// Makes a hypercall.
///
/// # Safety
/// The memory that the call's arguments name must be valid for what the call does with it: see [`hvcall::Call`].
#[cfg(ringwall_image)]
pub(crate) unsafe fn call(raw: &RawCall) -> i64 {
    let [first, second, third, fourth, fifth, sixth] = raw.arguments;
    let result: i64;
    // SAFETY: the gate (below) traps and returns with RAX, RCX and R11 changed and nothing else (hvcall, "Transport"). What the
    // monitor writes to memory is the caller's obligation. The gate is reached by `call`, which pushes a return address: so no
    // `nostack`.
    unsafe {
        core::arch::asm!(
            "call {gate}",
            gate = sym ringwall_gate,
            inlateout("rax") raw.nr => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Outside an image there is no gate: every call fails with `NOSYS`.
///
/// # Safety
/// None needed; the form is that of the real one.
#[cfg(not(any(ringwall_image, test)))]
pub(crate) unsafe fn call(_raw: &RawCall) -> i64 {
    hvcall::Status::NOSYS.to_result()
}

/// Under test the test thread's own monitor answers.
///
/// # Safety
/// As for the real one.
#[cfg(test)]
pub(crate) unsafe fn call(raw: &RawCall) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { crate::testing::trap(raw) }
}

#[cfg(ringwall_image)]
unsafe extern "C" {
    fn ringwall_gate();
}

// The page is exactly `hvcall::gate::page()`; the loader refuses an image where it is not. The second note tells the loader
// where the page is (hvcall::note::NOTE_GATE).
#[cfg(ringwall_image)]
core::arch::global_asm!(
    ".pushsection .ringwall.gate, \"ax\", @progbits",
    ".balign 4096",
    ".globl ringwall_gate",
    ".hidden ringwall_gate",
    ".type ringwall_gate, @function",
    "ringwall_gate:",
    "vmcall",
    "ret",
    ".balign 4096, 0xcc",
    ".size ringwall_gate, . - ringwall_gate",
    ".popsection",
    ".pushsection .note.ringwall, \"a\", @note",
    ".balign 8",
    ".long 9, 8, 2",
    ".asciz \"Ringwall\"",
    ".balign 4",
    ".quad ringwall_gate - .",
    ".popsection",
);
