//! Time without traps.
//!
//! Monotonic time is the host's TSC put through the formula in the boot information, the same that the monitor uses for
//! `wait` deadlines. Only a host without an invariant TSC costs a `clock` call per reading.

pub use core::time::Duration;
use hvcall::boot::CLOCK_TSC_USABLE;

/// A moment, in nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment that never comes.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        match crate::boot::info() {
            Some(info) if info.clock.flags & CLOCK_TSC_USABLE != 0 => {
                Self(info.clock.ns_at(crate::arch::tsc()))
            }
            _ => Self(crate::hv::clock(hvcall::call::ClockId::Monotonic).unwrap_or(0)),
        }
    }

    /// The moment `ns` nanoseconds after boot.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if that is later.
    #[must_use]
    pub const fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time passed until now.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().duration_since(self)
    }

    /// The moment `duration` later; [`Self::FAR_FUTURE`] where that does not fit.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).map_or(u64::MAX, |ns| self.0.saturating_add(ns)))
    }
}

/// Nanoseconds since 1970-01-01 UTC by the host's clock: one hypercall.
///
/// # Errors
/// The call's status.
pub fn wall_ns() -> Result<u64, hvcall::Status> {
    crate::hv::clock(hvcall::call::ClockId::Wall)
}
