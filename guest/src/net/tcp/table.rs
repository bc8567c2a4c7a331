//! All TCP connections: found by address in constant time, and by timer and work queue when they need attention.
//!
//! Everything in here is bounded, because peers decide how much there is of it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::time::Duration;

use hashbrown::HashMap;
use slab::Slab;

use super::connection::{Buffers, Connection, ConnectionId};
use super::timers::Timers;
use crate::net::hash::Keyed;
use crate::net::packet::Tuple;
use crate::time::Instant;

/// Most connections at once.
const MAX_CONNECTIONS: usize = 32 * 1024;
/// How long late segments of an ended connection are answered, and for how many connections.
const TIME_WAIT: Duration = Duration::from_secs(4);
const MAX_TIME_WAIT: usize = 1024;

/// Whom a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// A connection.
    Connection(ConnectionId),
    /// A connection that has ended, until then.
    TimeWait(Instant),
}

/// The table.
#[derive(Debug)]
pub(in crate::net) struct Table {
    slots: Slab<Box<Connection>>,
    next_serial: u64,
    flows: HashMap<Tuple, Flow, Keyed>,
    /// In order of expiry. An entry whose flow has been taken over by a new connection is stale.
    time_wait: VecDeque<(Instant, Tuple)>,
    dirty: VecDeque<ConnectionId>,
    timers: Timers,
    /// Memory of all connections, and the most it may be.
    held_bytes: usize,
    budget_bytes: usize,
}

impl Table {
    pub(super) fn new(hash: Keyed, budget_bytes: usize) -> Self {
        Self {
            slots: Slab::new(),
            next_serial: 0,
            flows: HashMap::with_hasher(hash),
            time_wait: VecDeque::new(),
            dirty: VecDeque::new(),
            timers: Timers::default(),
            held_bytes: 0,
            budget_bytes,
        }
    }

    pub(in crate::net) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(in crate::net) fn time_wait_len(&self) -> usize {
        self.time_wait.len()
    }

    pub(super) fn flow(&self, tuple: &Tuple) -> Option<Flow> {
        self.flows.get(tuple).copied()
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.slots.get_mut(id.slot)?;
        (connection.id == id).then_some(connection)
    }

    /// Two different connections at once.
    pub(super) fn get_two(
        &mut self,
        one: ConnectionId,
        other: ConnectionId,
    ) -> Option<(&mut Connection, &mut Connection)> {
        if one.slot == other.slot {
            return None;
        }
        let (first, second) = self.slots.get2_mut(one.slot, other.slot)?;
        (first.id == one && second.id == other).then_some((&mut **first, &mut **second))
    }

    /// How many connections with such buffers there is memory for, if there are no others.
    pub(in crate::net) fn capacity(&self, buffers: Buffers) -> usize {
        (self.budget_bytes / buffers.held_bytes()).min(MAX_CONNECTIONS)
    }

    /// Adds the connection that `make` builds for the name it is given, if there is room for its buffers.
    pub(super) fn insert(
        &mut self,
        tuple: Tuple,
        buffers: Buffers,
        make: impl FnOnce(ConnectionId) -> Option<Connection>,
    ) -> Option<ConnectionId> {
        let held_bytes = self.held_bytes.saturating_add(buffers.held_bytes());
        if self.slots.len() >= MAX_CONNECTIONS || held_bytes > self.budget_bytes {
            return None;
        }
        let slot = self.slots.vacant_entry();
        let id = ConnectionId { slot: slot.key(), serial: self.next_serial };
        slot.insert(Box::new(make(id)?));
        self.held_bytes = held_bytes;
        self.next_serial += 1;
        self.flows.insert(tuple, Flow::Connection(id));
        Some(id)
    }

    /// Forgets a connection and gives back all it held.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_none() {
            return;
        }
        let connection = self.slots.remove(id.slot);
        self.held_bytes -= connection.buffers.held_bytes();
        if self.flows.get(&connection.tuple) == Some(&Flow::Connection(id)) {
            self.flows.remove(&connection.tuple);
        }
    }

    /// Forgets a connection, but not that it was.
    pub(super) fn retire(&mut self, id: ConnectionId, now: Instant) {
        let Some(tuple) = self.get(id).map(|connection| connection.tuple) else { return };
        self.remove(id);
        if self.time_wait.len() >= MAX_TIME_WAIT {
            self.expire_one();
        }
        let end = now.saturating_add(TIME_WAIT);
        self.flows.insert(tuple, Flow::TimeWait(end));
        self.time_wait.push_back((end, tuple));
    }

    /// Puts a connection in line to be looked at.
    pub(super) fn mark_dirty(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get(id)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// The next connection to look at.
    pub(super) fn pop_dirty(&mut self) -> Option<ConnectionId> {
        let id = self.dirty.pop_front()?;
        if let Some(connection) = self.get(id) {
            connection.dirty = false;
        }
        Some(id)
    }

    pub(in crate::net) fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    /// Has the connection looked at no later than `at`. A timer that is armed for an earlier moment stays: when it fires, the
    /// connection says what it really waits for. So a busy connection does not touch the timers for every packet.
    pub(super) fn arm(&mut self, id: ConnectionId, at: Instant) {
        let Some(connection) = self.get(id) else { return };
        if at == Instant::FAR_FUTURE || connection.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        connection.armed = Some(at);
        let slots = &self.slots;
        self.timers.add(at, id, slots.len(), |at, id| {
            slots.get(id.slot).is_some_and(|connection| connection.id == id && connection.armed == Some(at))
        });
    }

    /// Marks the connections whose timers have fired, and forgets ended ones whose time is over.
    pub(super) fn fire(&mut self, now: Instant) {
        while let Some((at, id)) = self.timers.pop(now) {
            if let Some(connection) = self.get(id)
                && connection.armed == Some(at)
            {
                connection.armed = None;
                self.mark_dirty(id);
            }
        }
        while self.time_wait.front().is_some_and(|(end, _)| *end <= now) {
            self.expire_one();
        }
    }

    /// When [`Self::fire`] has something to do.
    pub(in crate::net) fn deadline(&self) -> Instant {
        let time_wait = self.time_wait.front().map_or(Instant::FAR_FUTURE, |(end, _)| *end);
        self.timers.deadline().min(time_wait)
    }

    fn expire_one(&mut self) {
        if let Some((end, tuple)) = self.time_wait.pop_front()
            && self.flows.get(&tuple) == Some(&Flow::TimeWait(end))
        {
            self.flows.remove(&tuple);
        }
    }

    /// Number of timers, stale ones included, for tests of boundedness.
    #[cfg(test)]
    pub(in crate::net) fn timers_len(&self) -> usize {
        self.timers.len()
    }

    /// Number of addresses known, for tests of boundedness.
    #[cfg(test)]
    pub(in crate::net) fn flows_len(&self) -> usize {
        self.flows.len()
    }
}
