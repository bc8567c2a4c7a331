//! How fast this host's TSC runs, measured against its clock.
//!
//! The kernel knows, but tells nobody: CPUID leaf 15H is empty on most CPUs and in most virtual machines, and the page of
//! perf_event_open(2) has no time in a virtual machine and costs more than the rest of the clock. So the TSC is read beside the
//! host's clock when the program starts, and again when a machine's clock starts. How far apart the readings on both sides of the
//! clock's are bounds the error of each, so the rate comes with a bound as well.

use std::sync::OnceLock;
use std::time::Instant;

use crate::monitor::clock::tsc;

/// Most that a rate may be wrong, in parts of a million. One that cannot be shown to be that good is not used.
pub const LIMIT_PPM: u64 = 200;
/// Readings of which the closest counts.
const READINGS: usize = 4;

static STARTED: OnceLock<Moment> = OnceLock::new();

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// By the TSC: it was this, give or take `half_width`.
    tsc: u64,
    half_width: u64,
    /// By the host's clock.
    host: Instant,
}

impl Moment {
    fn now() -> Self {
        let reading = |_| {
            let before = tsc();
            let host = Instant::now();
            let half_width = tsc().saturating_sub(before).div_ceil(2);
            Self { tsc: before + half_width, half_width, host }
        };
        let first = reading(0);
        (1..READINGS)
            .map(reading)
            .fold(first, |best, next| if next.half_width < best.half_width { next } else { best })
    }

    /// Kilohertz from an earlier moment to this one, if that is certain enough.
    fn khz_since(&self, earlier: &Self) -> Option<u32> {
        let ticks = self.tsc.checked_sub(earlier.tsc)?;
        let ns = u64::try_from(self.host.checked_duration_since(earlier.host)?.as_nanos()).ok()?;
        let unsure = self.half_width + earlier.half_width;
        if u128::from(unsure) * 1_000_000 > u128::from(ticks) * u128::from(LIMIT_PPM) {
            return None;
        }
        let khz = u128::from(ticks) * 1_000_000 / u128::from(ns.max(1));
        u32::try_from(khz).ok().filter(|&khz| khz != 0)
    }
}

/// Takes the first reading, as early as can be: the longer ago, the surer the rate.
pub fn start_measuring() {
    STARTED.get_or_init(Moment::now);
}

/// The TSC's frequency, or `None` where it is not known to [`LIMIT_PPM`] or the TSC is not invariant.
#[must_use]
pub fn khz() -> Option<u32> {
    Moment::now().khz_since(STARTED.get()?).filter(|_| is_invariant())
}

/// Whether the TSC runs at one rate whatever the CPU does (CPUID 8000_0007h EDX bit 8; SDM Vol. 3B, section 18.17.1). Every CPU with
/// 64-bit mode has that leaf, as it has 8000_0008h behind it.
#[must_use]
pub fn is_invariant() -> bool {
    std::arch::x86_64::__cpuid(0x8000_0007).edx & 1 << 8 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(tsc: u64, half_width: u64, host: Instant, ns: u64) -> Moment {
        Moment { tsc, half_width, host: host + std::time::Duration::from_nanos(ns) }
    }

    #[test]
    fn rates_are_exact_or_refused() {
        let start = Instant::now();
        let first = moment(1_000, 30, start, 0);
        // 2.5 GHz over a millisecond: 60 ticks of doubt are 24 parts of a million, 501 are more than 200.
        assert_eq!(moment(2_501_000, 30, start, 1_000_000).khz_since(&first), Some(2_500_000));
        assert_eq!(moment(2_501_000, 471, start, 1_000_000).khz_since(&first), None);
        assert_eq!(moment(2_501_000, 470, start, 1_000_000).khz_since(&first), Some(2_500_000));
        assert_eq!(first.khz_since(&first), None);
        assert_eq!(moment(999, 0, start, 10).khz_since(&first), None, "a TSC that went back");
    }

    #[test]
    fn measured_rate_holds_for_later() {
        if !is_invariant() {
            return;
        }
        let first = Moment::now();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = Moment::now();
        let khz = second.khz_since(&first).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let third = Moment::now();
        let again = third.khz_since(&second).unwrap();
        assert!(
            u64::from(khz.abs_diff(again)) * 1_000_000 <= 2 * LIMIT_PPM * u64::from(khz),
            "{khz} {again}"
        );
    }
}
