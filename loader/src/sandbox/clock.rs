//! Whether this host's clock can be read without a system call.
//!
//! It mostly can: the C library asks code of the kernel's in this process (vdso(7)). With some clock sources, such as the HPET, that
//! code makes the system call after all, which the filter of a monitor kills for; a monitor reads a timer then. Nothing tells which it is but trying: for the length of a
//! reading, system calls of this thread become a signal (Documentation/admin-guide/syscall-user-dispatch.rst).
#![expect(unsafe_code, reason = "catches its own system calls")]

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// include/uapi/linux/prctl.h.
const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;
const PR_SYS_DISPATCH_OFF: libc::c_ulong = 0;
const PR_SYS_DISPATCH_ON: libc::c_ulong = 1;
const SYSCALL_DISPATCH_FILTER_ALLOW: u8 = 0;
const SYSCALL_DISPATCH_FILTER_BLOCK: u8 = 1;

/// What the kernel reads at each system call of the thread that has asked for it.
static SELECTOR: AtomicU8 = AtomicU8::new(SYSCALL_DISPATCH_FILTER_ALLOW);
static CAUGHT: AtomicBool = AtomicBool::new(false);

extern "C" fn catch(_: libc::c_int) {
    CAUGHT.store(true, Ordering::Relaxed);
    // The return from here is a system call.
    SELECTOR.store(SYSCALL_DISPATCH_FILTER_ALLOW, Ordering::Relaxed);
}

/// Whether reading the clocks that a monitor reads takes a system call. Yes where that cannot be found out: before Linux 5.11.
///
/// To be asked by a process with one thread: for a moment, system calls are caught.
#[must_use]
pub fn takes_a_call() -> bool {
    makes_a_call(|| {
        for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME] {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: writes the structure, if anything.
            let _ = unsafe { libc::clock_gettime(clock, &raw mut time) };
        }
    })
}

/// Whether this makes a system call. Its first is caught and fails with nonsense.
fn makes_a_call(action: impl FnOnce()) -> bool {
    CAUGHT.store(false, Ordering::Relaxed);
    // SAFETY: all zeros are a valid action.
    let mut handler: libc::sigaction = unsafe { std::mem::zeroed() };
    handler.sa_sigaction = (catch as extern "C" fn(libc::c_int)) as libc::sighandler_t;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the handler stores two atomics and returns.
    if unsafe { libc::sigaction(libc::SIGSYS, &raw const handler, &raw mut before) } != 0 {
        return true;
    }
    let (none, selector) = (0 as libc::c_ulong, SELECTOR.as_ptr());
    // SAFETY: the kernel reads one byte of a static at each system call of this thread, until told otherwise.
    if unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, none, none, selector) } != 0 {
        return true;
    }
    SELECTOR.store(SYSCALL_DISPATCH_FILTER_BLOCK, Ordering::SeqCst);
    action();
    SELECTOR.store(SYSCALL_DISPATCH_FILTER_ALLOW, Ordering::SeqCst);
    // SAFETY: takes numbers only. It succeeds where the other has.
    let _ = unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, none, none, none) };
    // SAFETY: what it was before.
    let _ = unsafe { libc::sigaction(libc::SIGSYS, &raw const before, std::ptr::null_mut()) };
    CAUGHT.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_caught_and_clocks_of_this_host_need_none() {
        // One test for all, since the selector is one for all threads.
        assert!(makes_a_call(|| {
            // SAFETY: a number that changes nothing.
            let _ = unsafe { libc::syscall(libc::SYS_getppid) };
        }));
        assert!(!makes_a_call(|| ()));
        let source =
            std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        if source.is_ok_and(|source| source.trim() == "tsc") {
            assert!(!takes_a_call());
        }
    }
}
