//! The first instruction.
#![expect(unsafe_code, reason = "defines the symbol that the monitor enters")]

use hvcall::BootInfo;

/// Where the monitor enters the image.
///
/// The state at entry is that of a C function just called: RDI holds the first argument, RSP is 8 mod 16 below a fresh stack
/// of zeros, RBP is 0, direction flag clear, MXCSR and FCW at their defaults. So no assembly is needed: the compiler's own
/// prologue is right, and a backtrace ends here, at the zero above RSP and in RBP.
///
/// # Safety
/// For the monitor alone: `info` is the boot information, and nothing of the image has run before.
#[unsafe(no_mangle)]
unsafe extern "C" fn _start(info: *const BootInfo) -> ! {
    // SAFETY: as the monitor promises; it enters once.
    unsafe { crate::start::start(info) }
}
