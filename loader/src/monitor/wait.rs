//! Sleeping until a descriptor is ready or a deadline has passed.
#![expect(unsafe_code, reason = "ppoll takes a pointer")]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use hvcall::{Events, MAX_NICS, Status};

/// Descriptors to wait on, with what each one's readiness means to the guest.
pub(super) struct PollSet {
    fds: heapless::Vec<libc::pollfd, { MAX_NICS + 1 }>,
    meanings: heapless::Vec<(Events, Events), { MAX_NICS + 1 }>,
}

impl PollSet {
    pub(super) const fn new() -> Self {
        Self { fds: heapless::Vec::new(), meanings: heapless::Vec::new() }
    }

    /// Adds a descriptor, at most one per NIC and one for signals. `receive` and `transmit` are reported when it can be read and
    /// written; empty sets are not waited for.
    pub(super) fn add(&mut self, fd: BorrowedFd<'_>, receive: Events, transmit: Events) {
        let mut events = 0;
        if !receive.is_empty() {
            events |= libc::POLLIN;
        }
        if !transmit.is_empty() {
            events |= libc::POLLOUT;
        }
        let _ = self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
        let _ = self.meanings.push((receive, transmit));
    }

    /// Waits at most `timeout_ns`, for ever if `None`, and returns what is ready. Errors and hang-ups count as ready both ways: the
    /// call that follows reports them.
    ///
    /// # Errors
    /// `IO` if the host cannot wait.
    pub(super) fn wait(&mut self, timeout_ns: Option<u64>) -> Result<Events, Status> {
        const NS_PER_S: u64 = 1_000_000_000;
        let timeout = timeout_ns.map(|ns| libc::timespec {
            tv_sec: i64::try_from(ns / NS_PER_S).unwrap_or(i64::MAX),
            tv_nsec: (ns % NS_PER_S).cast_signed(),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `fds` is an array of that many entries, the timeout is null or valid, and no signal mask is given.
        let ready =
            unsafe { libc::ppoll(self.fds.as_mut_ptr(), self.fds.len() as u64, timeout, std::ptr::null()) };
        if ready < 0 && std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return Err(Status::IO);
        }
        let mut events = Events::empty();
        for (fd, &(receive, transmit)) in self.fds.iter().zip(&self.meanings) {
            let broken = fd.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0;
            if broken || fd.revents & libc::POLLIN != 0 {
                events |= receive;
            }
            if broken || fd.revents & libc::POLLOUT != 0 {
                events |= transmit;
            }
        }
        Ok(events)
    }
}
