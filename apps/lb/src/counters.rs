//! What happened, in numbers that only grow.

use core::cell::Cell;
use core::fmt;

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

impl fmt::Display for Counters {
    /// How all connections have ended: in order or cut off, and otherwise where there were such.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} connections taken, {} finished, {} cut off",
            self.accepted.get(),
            self.finished.get(),
            self.cut.get()
        )?;
        let others = [
            (&self.turned_away, "turned away"),
            (&self.client_failed, "broken off by clients"),
            (&self.backend_failed, "broken off by backends"),
            (&self.idle, "ended for silence"),
        ];
        let mut others = others.into_iter().filter(|(counter, _)| counter.get() > 0);
        others.try_for_each(|(counter, how)| write!(formatter, ", {} {how}", counter.get()))
    }
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
