//! Units: what gets a random base of its own, and how much of a secret that base is.

use super::plan::{GVA_END, LOWEST_GVA, Plan, RegionKind, UNIT_DISTANCE_BYTES};
use crate::address::PAGE_BYTES;

/// How many there are in every plan.
pub const UNIT_COUNT: usize = 8;

/// Their names in reports. The image is first; each other is the region of the same place in [`KINDS`].
pub const UNIT_NAMES: [&str; UNIT_COUNT] =
    ["image", "boot", "stubs", "faultstack", "dfstack", "descriptors", "stack", "heap"];

const KINDS: [RegionKind; UNIT_COUNT - 1] = [
    RegionKind::BootInfo,
    RegionKind::Stubs,
    RegionKind::FaultStack,
    RegionKind::DoubleFaultStack,
    RegionKind::Descriptors,
    RegionKind::Stack,
    RegionKind::Heap,
];

hvcall::wire_struct! {
    /// What has a random base: the image as a whole, or one other region.
    pub struct Unit {
        /// First guest-virtual address.
        pub base: u64,
        /// Length.
        pub size_bytes: u64,
    }
}

/// All units of a machine, in the order of [`UNIT_NAMES`].
pub type Units = [Unit; UNIT_COUNT];

/// The units of a plan, in the order of [`UNIT_NAMES`].
#[must_use]
pub fn units(plan: &Plan) -> Units {
    let of_image = |kind| matches!(kind, RegionKind::Text | RegionKind::ReadOnlyData | RegionKind::Data);
    let ends = plan.regions.iter().filter(|region| of_image(region.kind)).map(|region| region.end().0);
    let base = plan.image_base.0;
    let image = Unit { base, size_bytes: ends.max().unwrap_or(base) - base };
    let mut units = [image; UNIT_COUNT];
    for (unit, kind) in units[1..].iter_mut().zip(KINDS) {
        let region = plan.region(kind);
        *unit = Unit { base: region.gva.0, size_bytes: region.size_bytes };
    }
    units
}

/// Bits of entropy of the base of unit `index`, for somebody who knows the bases of all others: the logarithm of the number of
/// pages where it could be, which are equally likely. Rounded down to thousandths, in thousandths.
///
/// # Panics
/// If `index` is [`UNIT_COUNT`] or more.
#[must_use]
pub fn entropy_millibits(units: &Units, index: usize) -> u32 {
    let own = units[index].size_bytes;
    let taken = units.iter().enumerate().filter(|(other, _)| *other != index);
    let taken: u64 = taken.map(|(_, other)| other.size_bytes + own + 2 * UNIT_DISTANCE_BYTES).sum();
    let room = (GVA_END - LOWEST_GVA - UNIT_DISTANCE_BYTES).saturating_sub(own).saturating_sub(taken);
    log2_millibits(room / PAGE_BYTES)
}

/// A thousand times the binary logarithm of `pages`, rounded down; 0 for 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the argument has at most 35 bits, the result is between 0 and 35,000"
)]
fn log2_millibits(pages: u64) -> u32 {
    ((pages.max(1) as f64).log2() * 1000.0) as u32
}

/// An address as a place: `heap+0x18`, `stack-0x8`, or the plain number where no unit is near. Units are at least
/// [`UNIT_DISTANCE_BYTES`] apart, so at most one is closer than half of that.
#[must_use]
pub fn place(units: &Units, address: u64) -> String {
    let near = UNIT_DISTANCE_BYTES / 2;
    for (unit, name) in units.iter().zip(UNIT_NAMES) {
        let end = unit.base + unit.size_bytes;
        if unit.base != 0 && (unit.base.saturating_sub(near)..end.saturating_add(near)).contains(&address) {
            return match address.checked_sub(unit.base) {
                Some(above) => format!("{name}+{above:#x}"),
                None => format!("{name}-{:#x}", unit.base - address),
            };
        }
    }
    format!("{address:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Units {
        let mut next = LOWEST_GVA;
        [1, 2, 1, 1, 1, 1, 16, 4096].map(|pages| {
            let unit = Unit { base: next, size_bytes: pages * PAGE_BYTES };
            next += unit.size_bytes + UNIT_DISTANCE_BYTES;
            unit
        })
    }

    #[test]
    fn bases_have_more_than_34_bits_and_less_where_there_is_less_room() {
        let units = sample();
        for index in 0..UNIT_COUNT {
            assert!((34_900..35_000).contains(&entropy_millibits(&units, index)), "{index}");
        }
        let mut large = units;
        large[UNIT_COUNT - 1].size_bytes = GVA_END / 2;
        // Others have half of the room; the large one itself loses its own length.
        assert!((33_900..34_000).contains(&entropy_millibits(&large, 0)));
        large[UNIT_COUNT - 1].size_bytes = GVA_END;
        assert_eq!(entropy_millibits(&large, 0), 0);
        assert_eq!(
            (log2_millibits(1 << 28), log2_millibits((1 << 28) - 1), log2_millibits(0)),
            (28_000, 27_999, 0)
        );
    }

    #[test]
    fn addresses_are_places_in_the_nearest_unit() {
        let units = sample();
        let heap = units[UNIT_COUNT - 1].base;
        assert_eq!(place(&units, heap), "heap+0x0");
        assert_eq!(place(&units, heap - 8), "heap-0x8");
        assert_eq!(place(&units, units[6].base + 0x1ff8), "stack+0x1ff8");
        assert_eq!(place(&units, 0), "0x0");
        assert_eq!(place(&units, u64::MAX), "0xffffffffffffffff");
    }
}
