//! Device drivers: how an executor turn reaches hardware without knowing which there is.
//!
//! A device registers its driver on first use, so that the executor names no device and an appliance links only the drivers
//! it uses.

use hvcall::Events;

use crate::hv;
use crate::time::Instant;

/// Most drivers in one appliance: timers, net and block, and one to spare.
pub(super) const MAX_DRIVERS: usize = 4;

/// A device driver's part in an executor turn.
///
/// Memory that a staged call names belongs to the driver, lives for ever, and is not touched between `stage_*` and
/// `complete`: the executor runs the batch in between, and vouches for it with exactly this promise.
pub(crate) trait Driver: Sync {
    /// Runs what is due: takes in what arrived, runs timers, wakes tasks. Says whether it did anything.
    fn poll(&self, now: Instant) -> bool;
    /// When `poll` must run again even if nothing arrives; `Instant::FAR_FUTURE` for never.
    fn deadline(&self) -> Instant;
    /// Adds the calls that go before the wait (send, submit) and returns what to wait for.
    fn stage_output(&self, batch: &mut hv::Batch) -> Events;
    /// Adds the calls that go after the wait (receive, reap).
    fn stage_input(&self, batch: &mut hv::Batch);
    /// Takes the results of the staged calls.
    fn complete(&self, batch: &hv::Batch);
}

/// Makes `driver` part of every turn from now on. A device's initialisation calls this once, on first use.
///
/// # Panics
/// If there are more than four drivers, or one is registered twice.
pub(crate) fn register(driver: &'static dyn Driver) {
    super::current().register(driver);
}
