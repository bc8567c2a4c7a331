//! What the `disk` appliance leaves on a disk, worked out anew from its documentation and not by its code.

/// Where on a disk the appliance writes, and where it discards.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Sectors.
    pub sectors: u64,
    /// 512 or 4096.
    pub sector_bytes: u64,
}

impl Layout {
    /// Layout of a disk of `size_bytes`.
    #[must_use]
    pub const fn new(size_bytes: u64, sector_bytes: u64) -> Self {
        Self { sectors: size_bytes / sector_bytes, sector_bytes }
    }

    /// Sectors at the beginning that are all written: 64 MiB of them.
    #[must_use]
    pub fn bulk(&self) -> u64 {
        self.sectors.min((64 << 20) / self.sector_bytes)
    }

    /// Whether the appliance discards the sector: the fifth eighth of the beginning.
    #[must_use]
    pub fn is_discarded(&self, sector: u64) -> bool {
        let start = self.bulk() / 2;
        (start..start + self.bulk() / 8).contains(&sector)
    }

    /// What the sector holds in the end, if the appliance writes it with `seed`.
    #[must_use]
    pub fn content(&self, seed: u64, sector: u64) -> Vec<u8> {
        if self.is_discarded(sector) {
            return vec![0; usize::try_from(self.sector_bytes).unwrap_or(0)];
        }
        // A linear congruential generator of Knuth's (MMIX) from a start that SplitMix64 makes of seed and sector.
        let mut state = split_mix(seed ^ split_mix(sector));
        let words = (0..self.sector_bytes / 8).map(|_| {
            let word = state;
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word
        });
        words.flat_map(u64::to_le_bytes).collect()
    }
}

fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
