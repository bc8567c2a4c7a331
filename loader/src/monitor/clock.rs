//! Time as the guest computes it: the same formula on both sides, so that deadlines never disagree.
#![expect(unsafe_code, reason = "RDTSC is an instruction")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hvcall::ClockParameters;
use hvcall::boot::CLOCK_TSC_USABLE;

/// A machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    parameters: ClockParameters,
    started: Instant,
}

impl Clock {
    /// A clock that starts now. `tsc_khz` is the guest's TSC frequency, `None` where the TSC is not invariant.
    #[must_use]
    pub fn start(tsc_khz: Option<u32>) -> Self {
        let parameters = match tsc_khz {
            Some(khz) => ClockParameters::from_khz(tsc(), u64::from(khz), CLOCK_TSC_USABLE),
            None => ClockParameters::default(),
        };
        Self { parameters, started: Instant::now() }
    }

    /// What the guest is told.
    #[must_use]
    pub const fn parameters(&self) -> ClockParameters {
        self.parameters
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        if self.parameters.flags & CLOCK_TSC_USABLE != 0 {
            self.parameters.ns_at(tsc())
        } else {
            u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
        }
    }

    /// Nanoseconds since 1970-01-01 UTC; 0 for a host clock before that.
    #[must_use]
    pub fn wall_ns() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// This CPU's TSC.
pub(crate) fn tsc() -> u64 {
    // SAFETY: RDTSC reads a counter; Linux lets user mode read it (CR4.TSD is clear unless prctl(PR_SET_TSC) asked otherwise).
    unsafe { x86::time::rdtsc() }
}
