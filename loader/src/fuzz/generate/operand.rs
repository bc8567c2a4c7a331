//! Operands: mostly right, sometimes at an edge, sometimes far out.

use bytecode::{Anchor, Number, Place, Size};

use crate::fuzz::plan::{READABLE_REGIONS, WRITABLE_REGIONS};
use crate::fuzz::rng::Rng;

/// How often, one in so many, an operand is not meant to be right.
const WILD: u64 = 24;

/// Where a call may read, or write if `write`.
pub(super) fn place(rng: &mut Rng, write: bool) -> Place {
    if rng.once_in(WILD) {
        return wild(rng);
    }
    let regions = if write { WRITABLE_REGIONS } else { READABLE_REGIONS };
    // Most things happen on the heap, as in a real guest.
    let region = if rng.once_in(3) { byte(rng.below(u64::from(regions))) } else { 0 };
    let (anchor, delta) = match rng.below(8) {
        0 => (Anchor::Start, 0),
        1 => (Anchor::End, -small(rng)),
        2 => (Anchor::Middle, small(rng)),
        3 if region == 0 => (Anchor::Far, small(rng)),
        _ => (Anchor::Start, small(rng)),
    };
    Place { region, anchor, delta }
}

/// As [`place`], a multiple of 8 but for rare cases.
pub(super) fn aligned(rng: &mut Rng, write: bool) -> Place {
    let mut place = place(rng, write);
    if !rng.once_in(WILD) {
        place.delta &= !7;
    }
    place
}

/// Anywhere, mostly near an edge.
pub(super) fn wild(rng: &mut Rng) -> Place {
    let region = byte(rng.below(10));
    let anchor = rng.pick(&Anchor::ALL);
    let delta = match rng.below(6) {
        0 => 0,
        1 => -small(rng),
        2 => rng.pick(&[1, -1, 7, 8, -8, 4095, 4096, -4096, i16::MAX, i16::MIN]),
        _ => small(rng),
    };
    Place { region, anchor, delta }
}

/// A distance that is short more often than long.
fn small(rng: &mut Rng) -> i16 {
    let end = rng.pick(&[9, 65, 520, 4200]);
    i16::try_from(rng.below(end)).unwrap_or(0)
}

/// A length between 1 and `most`, or one at an edge.
pub(super) fn size(rng: &mut Rng, most: u64) -> Size {
    match rng.below(24) {
        0 => Size::ToEnd(0),
        1 => Size::ToEnd(rng.pick(&[1, 1, 2, 7, 8, 64, 127])),
        2 => Size::ToEnd(rng.pick(&[-1, -8, -64])),
        3 if rng.once_in(4) => Size::ToWrap(rng.pick(&[0, 1, 64, 127, -1])),
        4 => Size::Of(edge(rng)),
        5 => Size::Of(number_of(most)),
        6 => Size::Of(number_of(most.saturating_add(1))),
        _ => Size::Of(number_of(1 + rng.below(most.min(160)))),
    }
}

/// A number at an edge of some range.
pub(super) fn edge(rng: &mut Rng) -> Number {
    if rng.once_in(8) { Number::Raw(rng.next()) } else { Number::Interesting(byte(rng.below(64))) }
}

/// A device's index.
pub(super) fn device(rng: &mut Rng) -> Number {
    match rng.below(48) {
        0 => edge(rng),
        1 | 2 => Number::Small(2),
        3 => rng.pick(&[Number::Small(7), Number::Small(8)]),
        choice => Number::Small(byte(choice % 2)),
    }
}

/// That number.
pub(super) const fn number_of(value: u64) -> Number {
    if value < Number::SMALL_END as u64 { Number::Small(value.to_le_bytes()[0]) } else { Number::Raw(value) }
}

/// A number below 256 as a byte.
pub(super) const fn byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}
