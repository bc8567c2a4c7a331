//! What a sector should hold: no two sectors, and no two seeds, hold the same.

/// Fills `data` as the sectors from `sector` on should be filled.
pub(crate) fn fill(data: &mut [u8], seed: u64, sector: u64, sector_bytes: usize) {
    for (content, sector) in data.chunks_exact_mut(sector_bytes).zip(sector..) {
        let mut state = mix(seed ^ mix(sector));
        for word in content.chunks_exact_mut(8) {
            word.copy_from_slice(&state.to_le_bytes());
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        }
    }
}

/// Spreads a number over all bits (the finaliser of SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
