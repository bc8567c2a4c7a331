//! Random numbers: a ChaCha20 generator seeded by the host, and again after a megabyte or five minutes.
//!
//! [`fill`] and [`u64()`] are all that most need. [`Random`] plugs into what draws through the `rand_core` traits.

use core::convert::Infallible;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use spin::Mutex;

use crate::hv;
use crate::time::{Duration, Instant};

/// Most output from one seed.
const SEED_OUTPUT_BYTES: usize = 1 << 20;
/// Longest use of one seed.
const SEED_AGE: Duration = Duration::from_secs(5 * 60);

static SOURCE: Mutex<Source> = Mutex::new(Source { seeded: None });

struct Source {
    seeded: Option<Seeded>,
}

/// A generator and what it may still give.
struct Seeded {
    generator: ChaCha20Rng,
    left_bytes: usize,
    since: Instant,
}

impl Source {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(SEED_OUTPUT_BYTES) {
            let seeded = self.fresh(piece.len());
            seeded.left_bytes -= piece.len();
            seeded.generator.fill_bytes(piece);
        }
    }

    /// The generator, with a new seed if it needs one to give `size_bytes`, at most [`SEED_OUTPUT_BYTES`].
    fn fresh(&mut self, size_bytes: usize) -> &mut Seeded {
        let now = Instant::now();
        let usable = |old: &Seeded| old.left_bytes >= size_bytes && now.duration_since(old.since) < SEED_AGE;
        let kept = self.seeded.take_if(|old| usable(old));
        let seeded = kept.unwrap_or_else(|| seed(self.seeded.take(), now));
        self.seeded.insert(seeded)
    }
}

/// A new seed: the host's entropy with the old generator's output on top, so that it is never worse than either.
fn seed(old: Option<Seeded>, now: Instant) -> Seeded {
    let mut seed = [0; 32];
    assert_eq!(hv::entropy(&mut seed), Ok(seed.len()), "the host has no entropy to give");
    if let Some(mut old) = old {
        let mut mask = [0; 32];
        old.generator.fill_bytes(&mut mask);
        for (byte, mask) in seed.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    Seeded { generator: ChaCha20Rng::from_seed(seed), left_bytes: SEED_OUTPUT_BYTES, since: now }
}

/// Fills `bytes` with random ones, fit for keys.
///
/// # Panics
/// If the host has no entropy to give.
pub fn fill(bytes: &mut [u8]) {
    SOURCE.lock().fill(bytes);
}

/// A random number, fit for keys.
///
/// # Panics
/// If the host has no entropy to give.
#[must_use]
pub fn u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// The generator, as the traits of `rand_core` want it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl TryRng for Random {
    type Error = Infallible;

    #[expect(clippy::cast_possible_truncation, reason = "half of it is asked for")]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// How often the host was asked.
    fn seeds() -> u8 {
        testing::monitor(|monitor| monitor.entropy)
    }

    #[test]
    fn a_megabyte_or_five_minutes_need_a_new_seed() {
        let mut source = Source { seeded: None };
        let mut bytes = vec![0; SEED_OUTPUT_BYTES - 8];
        source.fill(&mut bytes);
        source.fill(&mut bytes[..8]);
        assert_eq!(seeds(), 1);
        source.fill(&mut bytes[..1]);
        assert_eq!(seeds(), 2);
        testing::monitor(|monitor| monitor.now_ns = 299_999_999_999);
        source.fill(&mut bytes[..1]);
        assert_eq!(seeds(), 2);
        testing::monitor(|monitor| monitor.now_ns = 300_000_000_000);
        source.fill(&mut bytes[..1]);
        assert_eq!(seeds(), 3);
    }

    #[test]
    fn more_than_a_seed_gives_comes_from_several() {
        let mut source = Source { seeded: None };
        let mut bytes = vec![0; 2 * SEED_OUTPUT_BYTES + 100];
        source.fill(&mut bytes);
        assert_eq!(seeds(), 3);
        let tail = &bytes[bytes.len() - 100..];
        assert!(tail.iter().any(|&byte| byte != 0));
    }

    #[test]
    fn a_reseeded_generator_depends_on_the_old_one() {
        let output = |first: u8| {
            testing::monitor(|monitor| monitor.entropy = first);
            let mut source = Source { seeded: None };
            source.fill(&mut [0; SEED_OUTPUT_BYTES]);
            testing::monitor(|monitor| monitor.entropy = 9);
            let mut bytes = [0; 16];
            source.fill(&mut bytes);
            bytes
        };
        assert_eq!(output(0), output(0));
        assert_ne!(output(0), output(1));
    }
}
