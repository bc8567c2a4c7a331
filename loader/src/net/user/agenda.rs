//! What to do next: things with work to do, in turn, and things to look at when their time has come.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use smoltcp::time::Instant;

/// One thing that the event loop serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// The frame socket.
    Link,
    /// A published port, by place in the list.
    Published(u32),
    /// A TCP connection.
    Connection(Name),
    /// A UDP conversation.
    Flow(Name),
}

/// A table entry: its place and how often that place had been given away before. A name outlives its entry, so that events
/// and timers that were already on their way do not hit the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// Place in the table.
    pub(super) index: u32,
    /// Entries made so far, modulo 2^24.
    pub(super) generation: u32,
}

impl Thing {
    /// As a number that the kernel keeps for us.
    pub(super) fn to_raw(self) -> u64 {
        let pack = |kind: u64, name: Name| {
            kind << 56 | u64::from(name.generation & 0xff_ffff) << 32 | u64::from(name.index)
        };
        match self {
            Self::Link => pack(0, Name { index: 0, generation: 0 }),
            Self::Published(index) => pack(1, Name { index, generation: 0 }),
            Self::Connection(name) => pack(2, name),
            Self::Flow(name) => pack(3, name),
        }
    }

    /// Back from a number of [`Self::to_raw`].
    #[expect(clippy::cast_possible_truncation, reason = "takes the number apart")]
    pub(super) fn from_raw(raw: u64) -> Self {
        let name = Name { index: raw as u32, generation: (raw >> 32) as u32 & 0xff_ffff };
        match raw >> 56 {
            0 => Self::Link,
            1 => Self::Published(name.index),
            2 => Self::Connection(name),
            _ => Self::Flow(name),
        }
    }
}

/// Names for table entries, each different from the ones before.
#[derive(Debug, Default)]
pub(super) struct Namer(u32);

impl Namer {
    /// Name of the entry that goes to `index`.
    pub(super) fn name(&mut self, index: usize) -> Name {
        self.0 = self.0.wrapping_add(1) & 0xff_ffff;
        Name { index: u32::try_from(index).unwrap_or(u32::MAX), generation: self.0 }
    }
}

/// The work queue and the timers. A thing is queued at most once by whoever keeps its `queued` flag; a thing has one timer
/// that counts, the earliest, and finds out by itself whether it was too early.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    ready: VecDeque<Thing>,
    timers: BinaryHeap<Reverse<(Instant, Thing)>>,
}

impl Agenda {
    /// Queues `thing` unless `queued` says that it already is.
    pub(super) fn queue(&mut self, queued: &mut bool, thing: Thing) {
        if !*queued {
            *queued = true;
            self.ready.push_back(thing);
        }
    }

    /// Number of things that are ready.
    pub(super) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// The next thing that is ready.
    pub(super) fn next_ready(&mut self) -> Option<Thing> {
        self.ready.pop_front()
    }

    /// Looks at `thing` at `when`, unless `scheduled` says that it will be looked at before. A thing that is looked at clears
    /// its `scheduled`.
    pub(super) fn schedule(&mut self, scheduled: &mut Option<Instant>, when: Instant, thing: Thing) {
        if scheduled.is_none_or(|earlier| when < earlier) {
            *scheduled = Some(when);
            self.timers.push(Reverse((when, thing)));
        }
    }

    /// The next thing whose time has come.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Thing> {
        if self.next_timer()? > now {
            return None;
        }
        self.timers.pop().map(|Reverse((_, thing))| thing)
    }

    /// When the next timer is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((when, _))| *when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_survive_the_kernel() {
        let name = Name { index: 70_000, generation: 0xab_cdef };
        for thing in [Thing::Link, Thing::Published(7), Thing::Connection(name), Thing::Flow(name)] {
            assert_eq!(Thing::from_raw(thing.to_raw()), thing);
        }
    }

    #[test]
    fn a_place_given_away_again_has_another_name() {
        let mut namer = Namer::default();
        assert_ne!(namer.name(3), namer.name(3));
    }

    #[test]
    fn only_an_earlier_timer_is_added() {
        let (mut agenda, mut scheduled) = (Agenda::default(), None);
        for millis in [50, 70, 20, 30] {
            agenda.schedule(&mut scheduled, Instant::from_millis(millis), Thing::Link);
        }
        assert_eq!(scheduled, Some(Instant::from_millis(20)));
        assert_eq!(agenda.next_due(Instant::from_millis(19)), None);
        assert_eq!(agenda.next_due(Instant::from_millis(60)), Some(Thing::Link));
        assert_eq!(agenda.next_due(Instant::from_millis(60)), Some(Thing::Link), "the one it replaced");
        assert_eq!(agenda.next_due(Instant::from_millis(60)), None);
    }

    #[test]
    fn a_thing_is_queued_once() {
        let (mut agenda, mut queued) = (Agenda::default(), false);
        agenda.queue(&mut queued, Thing::Link);
        agenda.queue(&mut queued, Thing::Link);
        assert_eq!(
            (agenda.ready_len(), agenda.next_ready(), agenda.next_ready()),
            (1, Some(Thing::Link), None)
        );
    }
}
