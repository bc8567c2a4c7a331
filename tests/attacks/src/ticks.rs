//! A timer that interrupts KVM_RUN, so that endless guests come back.
#![expect(unsafe_code, reason = "signal handlers and interval timers")]

use std::mem::MaybeUninit;

/// Ticks while it lives.
#[derive(Debug)]
pub(crate) struct Ticks(());

/// Starts ticking. Each tick interrupts whatever system call this thread is in.
pub(crate) fn every(milliseconds: i64) -> Ticks {
    extern "C" fn nothing(_signal: i32) {}
    // SAFETY: a structure of integers and a function pointer that may be null.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
    // SAFETY: the handler does nothing, and lives as long as the program.
    unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) };
    set(milliseconds * 1000);
    Ticks(())
}

impl Drop for Ticks {
    fn drop(&mut self) {
        set(0);
    }
}

fn set(microseconds: i64) {
    let interval = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: reads one structure, and writes none.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}
