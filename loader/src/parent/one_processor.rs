//! Starting on one processor.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;
use rustix::net::RecvFlags;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Keeps this process, and those that it makes, on the processor that it happens to be on.
///
/// During a start this program, the monitor and the guest's process take turns: none has anything to do while another works. Left to
/// itself the kernel puts each on an idle processor, which is to be woken up for every handover, there and back, and that is a quarter
/// of the time of a start. A short run ends like that, too, so it lasts until a run turns out to be none. Then each may go where it
/// could before.
#[derive(Debug)]
pub(super) struct OneProcessor {
    before: CpuSet,
}

impl OneProcessor {
    /// Stays here. `None` if the host refuses: then the start takes longer.
    pub(super) fn stay() -> Option<Self> {
        let before = sched_getaffinity(None).ok()?;
        let here = sched_getcpu();
        if here >= CpuSet::MAX_CPU {
            return None;
        }
        let mut set = CpuSet::new();
        set.set(here);
        sched_setaffinity(None, &set).ok()?;
        Some(Self { before })
    }

    /// Lets the calling process go where it may.
    pub(super) fn leave(&self) {
        self.release(None);
    }

    /// Lets the calling process go, the monitor, and the guest's process, whose number is in `kept` once there is one. Whether it is.
    pub(super) fn end(&self, monitor: Pid, kept: Option<&OwnedFd>) -> bool {
        self.release(None);
        self.release(Some(monitor));
        let Some(kept) = kept else { return true };
        let mut number = [0; 4];
        // The message stays there, and the listener with it. Nobody can add one once the guest runs: the other end is closed.
        match rustix::net::recv(kept, &mut number, RecvFlags::PEEK) {
            Ok((_, 4)) => self.release(Some(Pid::from_raw(i32::from_ne_bytes(number)))),
            // It has not been made yet, or its number not been handed in. Or the monitor is about to end.
            _ => return false,
        }
        true
    }

    fn release(&self, process: Option<Pid>) {
        let process = process.and_then(|process| rustix::process::Pid::from_raw(process.as_raw()));
        // If it is refused, the process has ended, or the processors of before are gone and the kernel has chosen others.
        let _ = sched_setaffinity(process, &self.before);
    }
}
