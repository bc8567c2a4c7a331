//! Who has called the guest: the only ones, besides those that a rule names, that it may answer.

use core::hash::Hash;
use core::net::IpAddr;
use std::collections::HashSet;

/// Entries of a generation. All memory is taken at the start: a closed process cannot ask for more.
const ENTRIES: usize = 8_192;
/// Seconds of a generation. What is not heard of for two of them is forgotten.
const GENERATION_S: u64 = 300;

/// A bounded set that forgets what was not used for long: two generations, of which the older one is dropped when the younger
/// one is full or old.
#[derive(Debug)]
struct Generations<T> {
    young: HashSet<T>,
    old: HashSet<T>,
    began_s: u64,
}

impl<T: Copy + Eq + Hash> Generations<T> {
    fn new() -> Self {
        Self { young: HashSet::with_capacity(ENTRIES), old: HashSet::with_capacity(ENTRIES), began_s: 0 }
    }

    fn insert(&mut self, item: T, now_s: u64) {
        if self.young.len() >= ENTRIES || now_s.saturating_sub(self.began_s) >= GENERATION_S {
            core::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.began_s = now_s;
        }
        self.young.insert(item);
    }

    fn contains(&self, item: &T) -> bool {
        self.young.contains(item) || self.old.contains(item)
    }
}

/// One conversation that somebody began with the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Tcp { peer: IpAddr, peer_port: u16, port: u16 },
    Udp { peer: IpAddr, peer_port: u16, port: u16 },
    Echo { peer: IpAddr, identifier: u16 },
}

impl Call {
    const fn peer(&self) -> IpAddr {
        match self {
            Self::Tcp { peer, .. } | Self::Udp { peer, .. } | Self::Echo { peer, .. } => *peer,
        }
    }
}

/// Who has called.
#[derive(Debug)]
pub(super) struct Callers {
    calls: Generations<Call>,
    hosts: Generations<IpAddr>,
}

impl Callers {
    pub(super) fn new() -> Self {
        Self { calls: Generations::new(), hosts: Generations::new() }
    }

    /// Notes a packet of somebody who may call. Every packet renews it.
    pub(super) fn note(&mut self, call: Call, now_s: u64) {
        if !self.calls.young.contains(&call) {
            self.calls.insert(call, now_s);
        }
        if !self.hosts.young.contains(&call.peer()) {
            self.hosts.insert(call.peer(), now_s);
        }
    }

    /// Whether the guest may answer.
    pub(super) fn has(&self, call: &Call) -> bool {
        self.calls.contains(call)
    }

    /// Whether the guest may ask for the host's MAC address.
    pub(super) fn knows(&self, host: IpAddr) -> bool {
        self.hosts.contains(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(port: u16) -> Call {
        Call::Tcp { peer: "10.0.0.9".parse().unwrap(), peer_port: port, port: 80 }
    }

    #[test]
    fn callers_are_bounded_and_those_that_go_on_talking_stay() {
        let mut callers = Callers::new();
        let capacity = (callers.calls.young.capacity(), callers.calls.old.capacity());
        for port in 1..=u16::MAX {
            callers.note(call(port), 0);
            callers.note(call(1), 0);
        }
        assert!(callers.has(&call(1)) && callers.has(&call(u16::MAX)));
        assert!(!callers.has(&call(2)));
        assert!(callers.calls.young.len() <= ENTRIES && callers.calls.old.len() <= ENTRIES);
        let after = (callers.calls.young.capacity(), callers.calls.old.capacity());
        assert!(after == capacity || (after.1, after.0) == capacity, "no memory was asked for");
    }

    #[test]
    fn callers_that_fall_silent_are_forgotten() {
        let mut callers = Callers::new();
        callers.note(call(1), 0);
        callers.note(call(2), GENERATION_S);
        assert!(callers.has(&call(1)));
        callers.note(call(3), 2 * GENERATION_S);
        assert!(!callers.has(&call(1)) && callers.has(&call(2)));
        assert!(callers.knows("10.0.0.9".parse().unwrap()));
    }
}
