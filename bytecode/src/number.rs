//! Numbers at which code tends to be wrong.

use crate::Reader;
use crate::codec::Sink;

/// An operand: a small number in one byte, an interesting one in one byte, or any in nine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Below [`Number::SMALL_END`].
    Small(u8),
    /// Index in [`Number::INTERESTING`].
    Interesting(u8),
    /// Any.
    Raw(u64),
}

impl Number {
    /// First value that is not small.
    pub const SMALL_END: u8 = 176;
    /// Edges of the contract's ranges, of integer types, and of address spaces.
    pub const INTERESTING: [u64; 64] = [
        255,
        256,
        257,
        511,
        512,
        513,
        1023,
        1024,
        1514,
        2047,
        2048,
        2049,
        4088,
        4095,
        4096,
        4097,
        8191,
        8192,
        32_767,
        32_768,
        65_520,
        65_534,
        65_535,
        65_536,
        65_537,
        0xf_ffff,
        0x10_0000,
        0x10_0001,
        1 << 21,
        (1 << 23) - 1,
        1 << 23,
        (1 << 23) + 1,
        1 << 24,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        1 << 32,
        (1 << 32) + 1,
        (1 << 32) + 2,
        (1 << 32) + 7,
        (1 << 32) + 9,
        1 << 33,
        0x1_0000_0007,
        1 << 40,
        1 << 47,
        (1 << 47) - 1,
        1 << 52,
        1 << 54,
        (1 << 55) - 1,
        1 << 55,
        (1 << 55) + 1,
        1 << 56,
        1 << 61,
        1 << 62,
        i64::MAX as u64,
        1 << 63,
        (1 << 63) + 1,
        u64::MAX - 4095,
        u64::MAX - 511,
        u64::MAX - 64,
        u64::MAX - 8,
        u64::MAX - 7,
        u64::MAX - 1,
        u64::MAX,
    ];
    const RAW: u8 = 255;

    /// The value.
    #[must_use]
    pub fn value(self) -> u64 {
        match self {
            Self::Small(value) => u64::from(value),
            Self::Interesting(index) => Self::INTERESTING[usize::from(index) % Self::INTERESTING.len()],
            Self::Raw(value) => value,
        }
    }

    /// Decodes; `None` at the end of the bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.byte()? {
            small @ ..Self::SMALL_END => Self::Small(small),
            Self::RAW => Self::Raw(u64::from_le_bytes(reader.bytes()?)),
            tag => Self::Interesting((tag - Self::SMALL_END) % 64),
        })
    }

    /// Encodes.
    pub fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Small(value) => out.byte(value % Self::SMALL_END),
            Self::Interesting(index) => out.byte(Self::SMALL_END + index % 64),
            Self::Raw(value) => {
                out.byte(Self::RAW);
                out.extend(value.to_le_bytes());
            }
        }
    }
}
