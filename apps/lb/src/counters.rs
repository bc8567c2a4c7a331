//! What happened, in numbers that only grow.

use core::cell::Cell;

/// A count.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// Counts `count` more.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Counts of the whole appliance.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections taken from clients.
    pub accepted: Counter,
    /// Those for which no backend was to be had.
    pub turned_away: Counter,
    /// Those that got a backend only at a second or later try.
    pub retried: Counter,
    /// Those that ended in order.
    pub finished: Counter,
    /// Those that their client broke off.
    pub client_failed: Counter,
    /// Those that their backend broke off.
    pub backend_failed: Counter,
    /// Those that were ended for their silence.
    pub idle: Counter,
    /// Those that were ended because the time to drain was over.
    pub cut: Counter,
}

/// Counts of one backend.
#[derive(Debug, Default)]
pub struct BackendCounters {
    /// Connections that it was chosen for.
    pub connections: Counter,
    /// Those of them that it did not accept.
    pub refused: Counter,
    /// Health checks that failed.
    pub checks_failed: Counter,
    /// Bytes from clients.
    pub bytes_in: Counter,
    /// Bytes to clients.
    pub bytes_out: Counter,
}
