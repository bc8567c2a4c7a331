//! Sleeping until a descriptor is ready or a deadline has passed.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use hvcall::{Events, MAX_NICS, Status};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Waits until one of `fds` is ready, at most `timeout_ns`, for ever if `None`. A wait that a signal interrupts has found nothing.
///
/// # Errors
/// What the host says if it cannot wait.
pub fn poll(fds: &mut [PollFd<'_>], timeout_ns: Option<u64>) -> Result<(), Errno> {
    // 2^64 ns are fewer seconds than a timespec holds.
    let timeout = timeout_ns.and_then(|ns| Timespec::try_from(Duration::from_nanos(ns)).ok());
    match rustix::event::poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// How long a wait asks for news again and again before it sleeps: not at all, unless the wait before it was as short. So a guest
/// among whose frames there are only short pauses never sleeps between them, and an idle one always does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Polling {
    most_ns: u64,
    worthwhile: bool,
}

impl Polling {
    /// Asks for at most that long; never, if it is 0.
    #[must_use]
    pub const fn new(most_ns: u64) -> Self {
        Self { most_ns, worthwhile: false }
    }

    /// Until when a wait that starts now asks.
    pub(super) const fn end(&self, now_ns: u64) -> u64 {
        if self.worthwhile { now_ns.saturating_add(self.most_ns) } else { 0 }
    }

    /// Takes note of how long a wait took that something other than its deadline ended.
    pub(super) const fn learn(&mut self, waited_ns: u64) {
        self.worthwhile = waited_ns < self.most_ns;
    }
}

/// Descriptors to wait on, with what each one's readiness means to the guest.
pub(super) struct PollSet<'fd> {
    fds: heapless::Vec<PollFd<'fd>, { MAX_NICS + 1 }>,
    meanings: heapless::Vec<(Events, Events), { MAX_NICS + 1 }>,
}

impl<'fd> PollSet<'fd> {
    pub(super) const fn new() -> Self {
        Self { fds: heapless::Vec::new(), meanings: heapless::Vec::new() }
    }

    /// Adds a descriptor, at most one per NIC and one for signals. `receive` and `transmit` are reported when it can be read and
    /// written; empty sets are not waited for.
    pub(super) fn add(&mut self, fd: BorrowedFd<'fd>, receive: Events, transmit: Events) {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, !receive.is_empty());
        events.set(PollFlags::OUT, !transmit.is_empty());
        let _ = self.fds.push(PollFd::from_borrowed_fd(fd, events));
        let _ = self.meanings.push((receive, transmit));
    }

    /// Waits as [`poll`] does, and returns what is ready. Errors and hang-ups count as ready both ways: the call that follows
    /// reports them.
    ///
    /// # Errors
    /// `IO` if the host cannot wait.
    pub(super) fn wait(mut self, timeout_ns: Option<u64>) -> Result<Events, Status> {
        poll(&mut self.fds, timeout_ns).map_err(|_| Status::IO)?;
        let mut events = Events::empty();
        for (fd, &(receive, transmit)) in self.fds.iter().zip(&self.meanings) {
            let ready = fd.revents();
            let broken = ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
            if broken || ready.contains(PollFlags::IN) {
                events |= receive;
            }
            if broken || ready.contains(PollFlags::OUT) {
                events |= transmit;
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_waits_make_the_next_one_ask_before_it_sleeps() {
        let mut polling = Polling::new(50_000);
        assert_eq!(polling.end(7), 0);
        polling.learn(49_999);
        assert_eq!(polling.end(7), 50_007);
        polling.learn(50_000);
        assert_eq!(polling.end(7), 0);
        let mut never = Polling::new(0);
        never.learn(0);
        assert_eq!(never.end(7), 0);
    }
}
