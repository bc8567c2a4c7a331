//! Waiting for a monitor: signals in, signals on, limits.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec};

/// How long the parent waits before it makes itself small.
const SETTLING: Duration = Duration::from_millis(20);

/// How long a monitor may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first signal to the kill.
    pub(super) grace: Duration,
    /// From the start to the kill.
    pub(super) time_limit: Option<Duration>,
}

/// How the monitor process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By itself, with this status.
    Exited(u8),
    /// Killed by a signal that did not come from here.
    Killed(Signal),
    /// Killed after this signal and the grace period.
    GraceOver(Signal),
    /// Killed at the time limit.
    TimeLimit,
}

/// Waits for the monitor to end, and makes it end when asked to.
///
/// If it takes longer than a short run does, this gives memory back, and calls `settle` for what else there is to do then: again and again
/// until that says that it is done.
pub(super) fn supervise(
    monitor: Pid,
    signals: &SigSet,
    limits: Limits,
    mut settle: impl FnMut() -> bool,
) -> Result<Outcome, Errno> {
    let signal_fd = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let time_limit = limits.time_limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut asked: Option<(Signal, Instant)> = None;
    let mut killed = None;
    let mut settled = false;
    loop {
        if let Some(outcome) = reap(monitor)? {
            return Ok(killed.unwrap_or(outcome));
        }
        let next = [time_limit, asked.map(|(_, deadline)| deadline)].into_iter().flatten().min();
        // Once it is killed, a deadline that has passed is nothing to wake up for.
        let next = next.filter(|_| killed.is_none());
        if settled {
            sleep_until(&signal_fd, next)?;
        } else {
            // Most short runs have ended by then.
            let soon = Instant::now() + SETTLING;
            sleep_until(&signal_fd, Some(next.map_or(soon, |next| next.min(soon))))?;
            settled = Instant::now() >= soon && settle();
            if settled {
                give_code_back();
            }
        }
        while let Some(info) = signal_fd.read_signal()? {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            match (signal, asked) {
                (None | Some(Signal::SIGCHLD), _) => {}
                (Some(signal), None) => {
                    kill(monitor, Signal::SIGTERM)?;
                    asked = Some((signal, Instant::now() + limits.grace));
                }
                // Asked twice: no more patience.
                (Some(_), Some((signal, _))) => asked = Some((signal, Instant::now())),
            }
        }
        let now = Instant::now();
        let due = match asked {
            Some((signal, deadline)) if deadline <= now => Some(Outcome::GraceOver(signal)),
            _ if time_limit.is_some_and(|limit| limit <= now) => Some(Outcome::TimeLimit),
            _ => None,
        };
        if let (Some(outcome), None) = (due, killed) {
            kill(monitor, Signal::SIGKILL)?;
            killed = Some(outcome);
        }
    }
}

/// Lets go of this program's code and constants, most of which will not be needed again. What is, comes back from the file.
#[expect(unsafe_code, reason = "madvise on this program's own code")]
fn give_code_back() {
    // Set by the linker: the first byte of the program, and the first behind its code.
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    const PAGE_BYTES: usize = 4096;
    let start = (&raw const __executable_start).addr();
    let end = (&raw const etext).addr() & !(PAGE_BYTES - 1);
    let pages = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: up to `etext` there are only pages of the file that are never written, relocated ones lie behind; dropping them
    // changes no content. If the host refuses, they stay.
    let _ =
        unsafe { rustix::mm::madvise(pages, end.saturating_sub(start), rustix::mm::Advice::LinuxDontNeed) };
}

/// How long a helper may take to say its last word. None needs a thousandth of it.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Ends a network helper, whose guest is gone. It ends by itself when it sees that.
pub(super) fn end_helper(helper: Pid) {
    let ended = || matches!(waitpid(helper, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive);
    let deadline = Instant::now() + LAST_WORD;
    while !ended() {
        if Instant::now() >= deadline {
            // It may end at this very moment; then there is nothing to kill and all is well.
            let _ = kill(helper, Signal::SIGKILL);
            let _ = waitpid(helper, None);
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits for processes of a monitor that is gone. The kernel kills them when it ends, so this is soon over.
pub(super) fn reap_orphans() {
    while waitpid(None, None).is_ok() {}
}

fn reap(monitor: Pid) -> Result<Option<Outcome>, Errno> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum: stops and continues are no end")]
    Ok(match waitpid(monitor, Some(WaitPidFlag::WNOHANG))? {
        WaitStatus::Exited(_, status) => Some(Outcome::Exited(u8::try_from(status).unwrap_or(u8::MAX))),
        WaitStatus::Signaled(_, signal, _) => Some(Outcome::Killed(signal)),
        _ => None,
    })
}

fn sleep_until(signal_fd: &SignalFd, deadline: Option<Instant>) -> Result<(), Errno> {
    let timeout = deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) }
    });
    let mut fds = [PollFd::from_borrowed_fd(signal_fd.as_fd(), PollFlags::IN)];
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(Errno::from_raw(errno.raw_os_error())),
    }
}
