//! Which backend gets a connection.

use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;

use crate::config::{Config, Policy};
use crate::counters::BackendCounters;
use crate::health::Health;

/// A backend.
#[derive(Debug)]
pub struct Backend {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it gets connections.
    pub health: Health,
    /// What happened with it.
    pub counters: BackendCounters,
    connections: Cell<usize>,
}

impl Backend {
    /// Connections that it has now, those that are being made included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.get()
    }
}

/// All backends, and whose turn it is.
#[derive(Debug)]
pub struct Backends {
    list: Vec<Backend>,
    policy: Policy,
    turn: Cell<usize>,
}

/// Backends that a connection has tried in vain, by index.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried(u64);

/// A backend's connection: counts as one of it until it is dropped.
#[derive(Debug)]
pub struct Place<'b> {
    /// The backend.
    pub backend: &'b Backend,
    index: usize,
}

impl Backends {
    /// The backends of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let check = &config.check;
        let backend = |address: &SocketAddr| Backend {
            address: *address,
            health: Health::new(check.fall, check.rise),
            counters: BackendCounters::default(),
            connections: Cell::new(0),
        };
        Self {
            list: config.backends.iter().map(backend).collect(),
            policy: config.policy,
            turn: Cell::new(0),
        }
    }

    /// All of them, in the configuration's order.
    pub fn iter(&self) -> impl Iterator<Item = &Backend> {
        self.list.iter()
    }

    /// A place at the backend whose turn it is, among those that are up and not in `tried`. `None` if there is none.
    pub fn choose(&self, tried: Tried) -> Option<Place<'_>> {
        let count = self.list.len();
        let turn = self.turn.get();
        let candidates = (0..count).map(|step| (turn + step) % count);
        let mut candidates = candidates.filter_map(|index| {
            let backend = self.list.get(index)?;
            (backend.health.is_up() && !tried.contains(index)).then_some((index, backend))
        });
        let (index, backend) = match self.policy {
            Policy::RoundRobin => candidates.next(),
            // Of several with as few, the first one from the turn on: they fill up evenly.
            Policy::LeastConnections => candidates.min_by_key(|(_, backend)| backend.connections()),
        }?;
        self.turn.set((index + 1) % count);
        backend.connections.update(|connections| connections + 1);
        backend.counters.connections.add(1);
        Some(Place { backend, index })
    }
}

impl Tried {
    /// Takes note of a place that was tried.
    pub fn add(&mut self, place: &Place<'_>) {
        self.0 |= 1 << place.index;
    }

    /// Whether any was.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.backend.connections.update(|connections| connections - 1);
    }
}
