//! What the harness hands to the hostile guest: programs, one after the other, and how the guest is to end.

use crate::Extent;

/// Number of the call by which the guest asks for a chunk. The contract has no such call; the harness answers it before the
/// dispatcher would. RDI and RSI: where the chunk goes, and how much fits; RDX and R10: memory that programs may use.
pub const NEXT_CHUNK: u64 = 0x7a7a_0001;
/// A result that no call has: the guest leaves the chunk and asks for the next.
pub const LEAVE: i64 = i64::MIN;
/// Regions that a chunk names.
pub const REGIONS: usize = 10;

/// Memory of the guest's that programs may write all of, with room around it for what goes wrong: long enough for the largest
/// transfer that begins in its middle.
pub const ARENA_BYTES: usize = 64 * 1024 + 16 * 1024 + 1100 * 1024;
/// Where in it the region begins that programs know.
pub const ARENA_START: usize = 64 * 1024;
/// Length of that region, and of the one at the low end of the stack.
pub const ARENA_REGION_BYTES: u64 = 8 * 1024;

/// How the guest ends after a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum End {
    /// Not at all: it asks for the next chunk.
    Next,
    /// By `exit` with status 7.
    Exit,
    /// By `exit` with a status that does not exist.
    BadExit,
    /// By reading address 0.
    ReadNull,
    /// By writing to its text.
    WriteText,
    /// By `ud2`.
    Undefined,
    /// By `hlt`.
    Halt,
    /// By the trap instruction of the port gate, elsewhere.
    OutElsewhere,
    /// By jumping to its heap.
    JumpToHeap,
}

impl End {
    /// Every end, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Next,
        Self::Exit,
        Self::BadExit,
        Self::ReadNull,
        Self::WriteText,
        Self::Undefined,
        Self::Halt,
        Self::OutElsewhere,
        Self::JumpToHeap,
    ];
}

/// A chunk's head: how it ends, devices, regions. Programs follow, each with its length in two bytes before it.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// How the guest ends.
    pub end: End,
    /// Number of NICs.
    pub nics: u8,
    /// Number of disks.
    pub disks: u8,
    /// Regions.
    pub regions: [Extent; REGIONS],
}

impl Head {
    /// Bytes of the head.
    pub const SIZE_BYTES: usize = 8 * (2 + 3 * REGIONS);

    /// Encodes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE_BYTES] {
        let mut bytes = [0; Self::SIZE_BYTES];
        let devices = u64::from(self.nics) | u64::from(self.disks) << 8;
        let regions = self.regions.iter();
        let regions =
            regions.flat_map(|region| [region.start, region.size_bytes, u64::from(region.writable)]);
        for (place, word) in
            bytes.chunks_exact_mut(8).zip([self.end as u64, devices].into_iter().chain(regions))
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Decodes; `None` if there is too little.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::SIZE_BYTES)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[8 * at..8 * at + 8]);
            u64::from_le_bytes(word)
        };
        let end = End::ALL.into_iter().find(|&end| end as u64 == word(0))?;
        let [nics, disks, ..] = word(1).to_le_bytes();
        let regions = core::array::from_fn(|position| Extent {
            start: word(2 + 3 * position),
            size_bytes: word(3 + 3 * position),
            writable: word(4 + 3 * position) != 0,
        });
        Some(Self { end, nics, disks, regions })
    }
}

/// The first program, and what follows it.
#[must_use]
pub fn split_program(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}
