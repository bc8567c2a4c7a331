//! Listening ports: who is on the way in.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::task::Waker;
use core::time::Duration;

use super::connection::{Buffers, ConnectionId};
use crate::time::Instant;

/// A handshake younger than this may just be slow; an older one gives way to a new one when the listener is full.
pub(super) const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);

/// How a listener treats those who knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Most connections that wait to be accepted, and as many again that are still shaking hands. At least 1.
    pub backlog: usize,
    /// Buffers of each connection.
    pub buffers: Buffers,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: 128, buffers: Buffers::default() }
    }
}

/// A listening port.
#[derive(Debug)]
pub(super) struct Listener {
    /// The only address of ours it listens on, or `None` for all.
    pub(super) address: Option<IpAddr>,
    pub(super) options: ListenOptions,
    /// Handshakes under way, oldest first.
    pub(super) handshakes: Vec<(Instant, ConnectionId)>,
    /// Connections to be accepted, in order of arrival.
    pub(super) ready: VecDeque<ConnectionId>,
    pub(super) waiting: Vec<Waker>,
    /// Nobody new is taken.
    pub(super) closing: bool,
}

impl Listener {
    pub(super) fn new(address: Option<IpAddr>, options: ListenOptions) -> Self {
        Self {
            address,
            options,
            handshakes: Vec::new(),
            ready: VecDeque::new(),
            waiting: Vec::new(),
            closing: false,
        }
    }

    /// Whether a connection to `address` is for this listener.
    pub(super) fn accepts(&self, address: IpAddr) -> bool {
        !self.closing && self.address.is_none_or(|own| own == address)
    }

    /// Makes room for a handshake. Gives the one to drop for it, or an error if the newcomer must come again.
    pub(super) fn make_room(&self, now: Instant) -> Result<Option<ConnectionId>, ()> {
        let backlog = self.options.backlog.max(1);
        if self.ready.len() >= backlog {
            return Err(());
        }
        match self.handshakes.first() {
            Some((since, oldest)) if self.handshakes.len() >= backlog => {
                if now.duration_since(*since) < HANDSHAKE_GRACE { Err(()) } else { Ok(Some(*oldest)) }
            }
            _ => Ok(None),
        }
    }

    /// Takes a connection out of every list.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.handshakes.retain(|(_, other)| *other != id);
        self.ready.retain(|other| *other != id);
        if self.is_done() {
            self.wake();
        }
    }

    /// Whether nobody will ever be accepted again.
    pub(super) fn is_done(&self) -> bool {
        self.closing && self.handshakes.is_empty() && self.ready.is_empty()
    }

    /// Wakes all who wait to accept.
    pub(super) fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}
