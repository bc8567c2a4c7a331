//! Addresses and lengths, relative to a machine's regions.

use crate::codec::Sink;
use crate::{Number, Reader};

/// A region of the machine that runs a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// First guest-virtual address.
    pub start: u64,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Whether the program may write here by itself.
    pub writable: bool,
}

impl Extent {
    /// First address after the region.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.wrapping_add(self.size_bytes)
    }

    /// Whether a range lies in it.
    #[must_use]
    pub const fn holds(&self, address: u64, size_bytes: u64) -> bool {
        let inside = address.wrapping_sub(self.start);
        inside <= self.size_bytes && size_bytes <= self.size_bytes - inside
    }
}

/// What a program needs to know of the machine that runs it.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Regions. Programs name them by index.
    pub regions: &'a [Extent],
    /// Number of NICs.
    pub nics: u8,
    /// Number of disks.
    pub disks: u8,
    /// Whether the harness survives a program's own `exit`. Where it does not, such calls become unknown ones.
    pub exits: bool,
}

impl Table<'_> {
    /// The region of that index; indices wrap.
    #[must_use]
    pub fn region(&self, index: u8) -> Extent {
        let len = self.regions.len().max(1);
        self.regions.get(usize::from(index) % len).copied().unwrap_or_default()
    }

    /// Whether the program may write a range by itself.
    #[must_use]
    pub fn is_writable(&self, address: u64, size_bytes: u64) -> bool {
        self.regions.iter().any(|region| region.writable && region.holds(address, size_bytes))
    }
}

/// What an address is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The region's first byte.
    Start,
    /// The byte after its last.
    End,
    /// Its middle.
    Middle,
    /// Its first byte, in steps of 64 bytes, around and around.
    Far,
    /// Its first byte, moved by 2^32.
    Wrapped32,
    /// Its first byte, with bit 47 turned over: not canonical.
    NotCanonical,
    /// Its first byte, with bit 63 turned over.
    UpperHalf,
    /// Zero: small addresses, and those just below 2^64.
    Zero,
}

impl Anchor {
    /// Every anchor, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Start,
        Self::End,
        Self::Middle,
        Self::Far,
        Self::Wrapped32,
        Self::NotCanonical,
        Self::UpperHalf,
        Self::Zero,
    ];
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index in [`Table::regions`], wrapping.
    pub region: u8,
    /// What `delta` is relative to.
    pub anchor: Anchor,
    /// Distance, in bytes unless the anchor says otherwise.
    pub delta: i16,
}

impl Place {
    /// The address in a machine.
    #[must_use]
    pub fn address(self, table: &Table<'_>) -> u64 {
        let region = table.region(self.region);
        let delta = i64::from(self.delta).cast_unsigned();
        let base = match self.anchor {
            Anchor::Start => region.start,
            Anchor::End => region.end(),
            Anchor::Middle => region.start.wrapping_add(region.size_bytes / 2),
            Anchor::Far => {
                let far =
                    delta.wrapping_mul(64).cast_signed().rem_euclid(region.size_bytes.max(1).cast_signed());
                return region.start.wrapping_add(far.cast_unsigned());
            }
            Anchor::Wrapped32 => region.start.wrapping_add(1 << 32),
            Anchor::NotCanonical => region.start ^ 1 << 47,
            Anchor::UpperHalf => region.start ^ 1 << 63,
            Anchor::Zero => 0,
        };
        base.wrapping_add(delta)
    }

    /// Decodes; `None` at the end of the bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let [first, low, high] = reader.bytes()?;
        let anchor = Anchor::ALL[usize::from(first >> 5)];
        Some(Self { region: first & 31, anchor, delta: i16::from_le_bytes([low, high]) })
    }

    /// Encodes.
    pub fn encode(self, out: &mut impl Sink) {
        out.byte((self.anchor as u8) << 5 | self.region & 31);
        out.extend(self.delta.to_le_bytes());
    }
}

/// A length, for the range that begins at a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Of(Number),
    /// To the end of the place's region, and so many bytes more.
    ToEnd(i8),
    /// To address 2^64, and so many bytes more, which wraps.
    ToWrap(i8),
}

impl Size {
    const TO_END: u8 = 253;
    const TO_WRAP: u8 = 254;

    /// The length in a machine.
    #[must_use]
    pub fn bytes(self, place: Place, table: &Table<'_>) -> u64 {
        let address = place.address(table);
        match self {
            Self::Of(number) => number.value(),
            Self::ToEnd(more) => {
                let end = table.region(place.region).end();
                end.wrapping_sub(address).wrapping_add(i64::from(more).cast_unsigned())
            }
            Self::ToWrap(more) => 0_u64.wrapping_sub(address).wrapping_add(i64::from(more).cast_unsigned()),
        }
    }

    /// Decodes; `None` at the end of the bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let tag = reader.rest().first().copied()?;
        Some(match tag {
            Self::TO_END | Self::TO_WRAP => {
                let [_, more] = reader.bytes()?;
                let more = more.cast_signed();
                if tag == Self::TO_END { Self::ToEnd(more) } else { Self::ToWrap(more) }
            }
            _ => Self::Of(Number::decode(reader)?),
        })
    }

    /// Encodes.
    pub fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Of(number) => number.encode(out),
            Self::ToEnd(more) => out.extend([Self::TO_END, more.cast_unsigned()]),
            Self::ToWrap(more) => out.extend([Self::TO_WRAP, more.cast_unsigned()]),
        }
    }
}
