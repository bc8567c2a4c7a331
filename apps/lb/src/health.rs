//! Whether a backend is to get connections: a count of successes or failures in a row.

use core::cell::Cell;

/// The health of one backend. Up to begin with, so that clients need not wait for the first checks.
#[derive(Debug)]
pub struct Health {
    up: Cell<bool>,
    /// Observations in a row that speak for a change.
    contrary: Cell<u32>,
    fall: u32,
    rise: u32,
}

impl Health {
    /// A backend that is up, and goes down after `fall` failures in a row and up again after `rise` successes.
    #[must_use]
    pub const fn new(fall: u32, rise: u32) -> Self {
        Self { up: Cell::new(true), contrary: Cell::new(0), fall, rise }
    }

    /// Whether it is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.get()
    }

    /// Takes note of a success or a failure, and says whether that made a change.
    pub fn observe(&self, success: bool) -> bool {
        let up = self.up.get();
        if success == up {
            self.contrary.set(0);
            return false;
        }
        let contrary = self.contrary.get() + 1;
        let changes = contrary >= if up { self.fall } else { self.rise };
        self.contrary.set(if changes { 0 } else { contrary });
        self.up.set(up != changes);
        changes
    }
}

/// Whether an HTTP answer that begins so says that all is well: a status of 200 to 399.
#[must_use]
pub fn is_good(start: &[u8; 12]) -> bool {
    matches!(start, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', b'2' | b'3', tens, ones]
        if tens.is_ascii_digit() && ones.is_ascii_digit())
}
