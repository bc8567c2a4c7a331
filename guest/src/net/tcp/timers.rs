//! When connections want to be looked at: a heap whose entries may be stale.
//!
//! A connection has at most one entry that counts, the one for the moment it is armed for. Moving a timer leaves the old
//! entry where it is; whoever pops it finds that it no longer counts. Stale entries are swept out when they outnumber the
//! others, so the heap stays in proportion to the connections.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::connection::ConnectionId;
use crate::time::Instant;

/// Stale entries that are not worth a sweep.
const SLACK: usize = 64;

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
}

impl Timers {
    /// Adds a timer. `live` connections have one; `counts` says whether an entry is one of theirs.
    pub(super) fn add(
        &mut self,
        at: Instant,
        id: ConnectionId,
        live: usize,
        counts: impl Fn(Instant, ConnectionId) -> bool,
    ) {
        if self.heap.len() > 2 * live + SLACK {
            self.heap.retain(|Reverse((at, id))| counts(*at, *id));
        }
        self.heap.push(Reverse((at, id)));
    }

    /// The next timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, ConnectionId)> {
        if self.deadline() > now {
            return None;
        }
        self.heap.pop().map(|Reverse(timer)| timer)
    }

    /// When the next timer is due. May be a stale one's moment: early, never late.
    pub(super) fn deadline(&self) -> Instant {
        self.heap.peek().map_or(Instant::FAR_FUTURE, |Reverse((at, _))| *at)
    }

    /// Entries, stale ones included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
