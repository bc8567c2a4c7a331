//! Random numbers from a seed: the same on every host, so that a seed is a reproduction.

/// A generator (splitmix64, by Sebastiano Vigna, public domain).
#[derive(Clone, Copy, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that always gives the same row for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, which is at least 1.
    pub const fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32).wrapping_mul(end) >> 32
    }

    /// An index into something of `len` elements, at least 1 and below 2^32.
    pub const fn index(&mut self, len: usize) -> usize {
        crate::address::index(self.below(len as u64))
    }

    /// Eight random bits.
    pub const fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    /// True once in `one_in` times.
    pub const fn once_in(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }
}
