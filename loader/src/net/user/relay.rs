//! The bytes of one TCP connection, between a host socket and an endpoint towards the guest.
//!
//! Bytes are read from the host straight into the endpoint's buffer and sent to the host straight out of it. What does not
//! fit stays with its sender, so a slow reader on one side slows the writer on the other. An end of data is passed on as an
//! end of data, a reset as a reset.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use smoltcp::socket::tcp::RecvError;

use super::stack::{Endpoint, Stack};

/// Two ends and what is known about them.
#[derive(Debug)]
pub(super) struct Relay {
    host: OwnedFd,
    pub(super) endpoint: Endpoint,
    /// The host socket may have data, or room, until it says otherwise.
    readable: bool,
    writable: bool,
    /// The host socket reported an end or an error: a short read is not the last one.
    hung_up: bool,
    /// The host socket failed.
    failed: bool,
    /// The host's end of data has gone to the guest, and the other way round.
    host_finished: bool,
    guest_finished: bool,
}

impl Relay {
    /// Between `host` and `endpoint`, neither of which has said anything yet.
    pub(super) fn new(host: OwnedFd, endpoint: Endpoint) -> Self {
        Self {
            host,
            endpoint,
            readable: false,
            writable: false,
            hung_up: false,
            failed: false,
            host_finished: false,
            guest_finished: false,
        }
    }

    /// Takes what epoll said about the host socket.
    pub(super) fn note(&mut self, events: EventFlags) {
        let ended = events.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        self.readable |= ended || events.contains(EventFlags::IN);
        self.writable |= events.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR);
        self.hung_up |= ended;
    }

    /// Whether a connection that was being made to the host stands: `None` if that is not known yet.
    pub(super) fn host_answer(&self) -> Option<bool> {
        self.writable.then(|| matches!(sockopt::socket_error(&self.host), Ok(Ok(()))))
    }

    /// Whether both ends of data were passed on.
    pub(super) fn is_finished(&self) -> bool {
        self.host_finished && self.guest_finished
    }

    /// Whether all was said, but the host has not yet taken the last of it.
    pub(super) fn is_draining(&mut self) -> bool {
        self.host_finished && !self.guest_finished && !self.failed && self.endpoint.socket().can_recv()
    }

    /// Gives the connection up: both ends will be told by a reset.
    pub(super) fn fail(&mut self) {
        self.failed = true;
        self.host_finished = false;
        self.endpoint.socket().abort();
    }

    /// Ends both sides: what the host has not been told yet, it is told by a reset.
    pub(super) fn close(self, stack: &mut Stack) {
        if !self.is_finished() {
            // Fails only on a socket that is already dead.
            let _ = sockopt::set_socket_linger(&self.host, Some(core::time::Duration::ZERO));
        }
        stack.put_back(self.endpoint);
    }

    /// Reads from the host what fits. Whether anything changed.
    pub(super) fn host_to_guest(&mut self) -> bool {
        let socket = self.endpoint.socket();
        let (mut moved, mut taken_bytes) = (false, 0);
        while self.readable && socket.can_send() {
            let host = &self.host;
            let read = socket.send(|room| {
                if room.is_empty() {
                    return (0, Err(Errno::AGAIN));
                }
                let space = room.len();
                match recv(host, room, RecvFlags::DONTWAIT) {
                    Ok((taken, _)) => (taken, Ok((taken, space))),
                    Err(errno) => (0, Err(errno)),
                }
            });
            match read {
                Ok(Ok((0, _))) => {
                    self.readable = false;
                    self.host_finished = true;
                    socket.close();
                }
                // A short read of a stream emptied it; more of it, or its end, raises a new event.
                Ok(Ok((taken, space))) => {
                    taken_bytes += taken;
                    self.readable = taken == space || self.hung_up;
                }
                Ok(Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => {
                    self.readable = false;
                    break;
                }
                Ok(Err(_)) | Err(_) => {
                    self.readable = false;
                    self.failed = true;
                    socket.abort();
                }
            }
            moved = true;
        }
        self.endpoint.carry(taken_bytes);
        moved
    }

    /// Sends to the host what the guest sent. Whether anything changed.
    pub(super) fn guest_to_host(&mut self) -> bool {
        let socket = self.endpoint.socket();
        let mut moved = false;
        while self.writable && socket.can_recv() {
            let host = &self.host;
            let sent =
                socket.recv(|data| match send(host, data, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                    Ok(taken) => (taken, Ok(())),
                    Err(errno) => (0, Err(errno)),
                });
            match sent {
                Ok(Ok(()) | Err(Errno::INTR)) => moved = true,
                Ok(Err(Errno::AGAIN)) => self.writable = false,
                Ok(Err(_)) | Err(_) => {
                    self.writable = false;
                    self.failed = true;
                    socket.abort();
                    return true;
                }
            }
        }
        let drained = !self.guest_finished && !socket.can_recv();
        if drained && matches!(socket.recv(|_| (0, ())), Err(RecvError::Finished)) {
            self.guest_finished = true;
            // Fails only on a socket that is already dead.
            let _ = shutdown(&self.host, Shutdown::Write);
            return true;
        }
        moved
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.host.as_fd()
    }
}
