//! The end of a process.
#![expect(unsafe_code, reason = "_exit")]

use hvcall::ExitCode;

/// Ends this process at once: no destructor, no exit handler, nothing that a closed process may not do. What is left in buffers is
/// lost, and what was registered for the end of a program stays that of the process that has forked this one.
pub fn at_once(code: ExitCode) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(i32::from(code.0)) }
}
