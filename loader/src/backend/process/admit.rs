//! The vCPU before the guest's first instruction: the one system call that is granted, and what every wait will wait for.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::spawn::Child;
use super::vcpu::{NO_CALL, ProcessVcpu};
use crate::layout::Gate;

impl ProcessVcpu {
    pub(super) const fn new(listener: OwnedFd, child: Child, gate: Gate, sites: [u64; 2]) -> Self {
        Self { listener, child, gate, sites, call: NO_CALL, answer: None, signals: None }
    }

    /// Takes the process's request to unmap its init pages, the last that it makes itself. The first entry will grant it.
    pub(super) fn admit(&mut self, base: u64, size_bytes: u64) -> bool {
        let expected = self.receive().is_ok()
            && i64::from(self.call.nr) == libc::SYS_munmap
            && self.call.instruction_pointer == self.sites[0]
            && self.call.args[..2] == [base, size_bytes];
        if let Some(answer) = &mut self.answer {
            answer.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(0);
        }
        expected
    }

    /// Waits on `signals`, the signalfd that gets SIGCHLD, as well as on the listener, if this kernel needs it: since Linux 6.11 a wait
    /// for notifications ends when there is nobody left to send one.
    pub fn watch_signals(&mut self, signals: RawFd) {
        if !ends_by_itself(rustix::system::uname().release().to_str().unwrap_or_default()) {
            self.signals = Some(signals);
        }
    }

    /// The descriptor, for the sandbox.
    #[must_use]
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Whether this kernel release is 6.11 or newer. One that does not look like a release is taken for old.
fn ends_by_itself(release: &str) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 11),
        _ => false,
    }
}

/// Whether a notification waits, or comes in time.
pub(super) fn is_readable(listener: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(listener, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).ok();
    rustix::event::poll(&mut fds, timeout.as_ref()).is_ok() && fds[0].revents().contains(PollFlags::IN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_leave_a_monitor_waiting_are_known() {
        for old in ["5.19.0", "6.1.0-44-amd64", "6.8.0-generic", "6.10.14", "", "x.y"] {
            assert!(!ends_by_itself(old), "{old}");
        }
        for new in ["6.11.0", "6.12-rc1", "6.18.44-fc", "7.0"] {
            assert!(ends_by_itself(new), "{new}");
        }
    }
}
