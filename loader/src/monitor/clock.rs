//! Time as the guest computes it: the same formula on both sides, so that deadlines never disagree.
#![expect(unsafe_code, reason = "RDTSC is an instruction")]

use std::io;
use std::os::fd::RawFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hvcall::ClockParameters;
use hvcall::boot::CLOCK_TSC_USABLE;

use super::timer::Timer;

/// A machine's clock.
#[derive(Debug)]
pub struct Clock {
    parameters: ClockParameters,
    started: Instant,
    /// Instead of the host's clocks.
    timer: Option<Timer>,
}

impl Clock {
    /// A clock that starts now. `tsc_khz` is the guest's TSC frequency, `None` where the TSC is not invariant.
    #[must_use]
    pub fn start(tsc_khz: Option<u32>) -> Self {
        let parameters = match tsc_khz {
            Some(khz) => ClockParameters::from_khz(tsc(), u64::from(khz), CLOCK_TSC_USABLE),
            None => ClockParameters::default(),
        };
        Self { parameters, started: Instant::now(), timer: None }
    }

    /// Never asks the host's clocks again, but a timer. For hosts whose clocks take a system call of their own. Steps of the host's
    /// wall clock are not followed from now on.
    ///
    /// # Errors
    /// If the host has no such timer.
    pub fn use_timer(&mut self) -> io::Result<()> {
        self.timer = Some(Timer::start(host_ns(self.started), wall_ns())?);
        Ok(())
    }

    /// The timer's descriptor, for the sandbox.
    #[must_use]
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.timer.as_ref().map(Timer::raw_fd)
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
            self.timer.as_ref().map_or_else(|| host_ns(self.started), Timer::monotonic_ns)
        }
    }

    /// Nanoseconds since 1970-01-01 UTC; 0 for a host clock before that.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        self.timer.as_ref().map_or_else(wall_ns, Timer::wall_ns)
    }
}

fn host_ns(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// This CPU's TSC.
pub(crate) fn tsc() -> u64 {
    // SAFETY: RDTSC reads a counter; Linux lets user mode read it (CR4.TSD is clear unless prctl(PR_SET_TSC) asked otherwise).
    unsafe { x86::time::rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_goes_on_where_the_hosts_clocks_were() {
        let mut clock = Clock::start(None);
        let now = |clock: &Clock| (clock.monotonic_ns(), clock.wall_ns());
        let first = now(&clock);
        clock.use_timer().unwrap();
        let mut last = first;
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            let next = now(&clock);
            assert!(next >= last, "{next:?} after {last:?}");
            last = next;
        }
        // A sleep is never shorter than asked for. What the timer may be behind is a period, a few milliseconds at most.
        let slept = first.0 + 15_000_000..=host_ns(clock.started);
        assert!(slept.contains(&last.0), "{last:?} is not within {slept:?}");
        assert!(last.1 - first.1 >= 15_000_000, "{last:?}");
        assert!(clock.raw_fd().is_some());
    }
}
