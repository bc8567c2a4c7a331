//! The order of functions, drawn anew for every image, and the seed that it follows from.

use sha2::{Digest as _, Sha256};

/// Sections whose order is drawn: functions, constants, variables. Each function has a section of its own.
const SHUFFLED: [&str; 4] = [".text*", ".rodata*", ".data*", ".bss*"];

/// Which order of functions an image gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// As it is, while the code is the same; a random one for code that is new.
    #[default]
    Keep,
    /// A random one.
    Random,
    /// This one. 0 leaves the compiler's order.
    Fixed(u64),
}

/// A random seed, and never 0.
pub(super) fn random() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    loop {
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        let seed = u64::from_le_bytes(bytes);
        if got == bytes.len() && seed != 0 {
            return Ok(seed);
        }
    }
}

/// The linker's flags for an order.
///
/// LLD shuffles by a seed of 32 bits. So that all 64 bits count, each kind of section is shuffled twice, with halves of a
/// digest of the seed.
pub(super) fn flags(seed: u64) -> Vec<String> {
    if seed == 0 {
        return Vec::new();
    }
    let passes = linker_seeds(seed);
    let pairs = SHUFFLED.iter().flat_map(|sections| passes.map(|pass| (sections, pass)));
    pairs.map(|(sections, pass)| format!("--shuffle-sections={sections}={pass}")).collect()
}

/// Two seeds that mean nothing special to LLD: 0 would be a random order, and all ones the reverse.
fn linker_seeds(seed: u64) -> [u32; 2] {
    let mut digest = Sha256::digest(seed.to_le_bytes());
    loop {
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        let seeds = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])];
        if seeds.iter().all(|&seed| !matches!(seed, 0 | u32::MAX)) {
            return seeds;
        }
        digest = Sha256::digest(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_flags_and_another_one_others() {
        assert_eq!(flags(1), flags(1));
        assert_ne!(flags(1), flags(2));
        assert_ne!(flags(1), flags(1 << 40));
        assert_eq!(flags(1).len(), 8);
        assert_eq!(flags(0), [""; 0]);
    }

    #[test]
    fn random_seeds_are_not_repeated() {
        assert_ne!(random().unwrap(), random().unwrap());
    }
}
