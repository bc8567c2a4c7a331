//! The guest's memory as it has to be.

use std::ops::Range;

use crate::address::index;

/// Bytes that are compared and restored together.
pub const GRANULE_BYTES: usize = 256;

/// Bytes that are looked at together where nobody knows what was written.
const PIECE_BYTES: usize = 4096;

/// A region of the guest's.
#[derive(Clone, Copy, Debug)]
pub struct RegionModel {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Whether calls may name it at all.
    pub own: bool,
    /// Whether the monitor may write it for the guest. Then `offset` is in the writable memory, else in the sealed one.
    pub writable: bool,
    /// Where its content lies.
    pub offset: usize,
}

/// All of a guest's memory.
#[derive(Debug)]
pub struct MemoryModel {
    regions: Vec<RegionModel>,
    /// Writable memory as it has to be now, what lies between regions included.
    pub expected: Vec<u8>,
    /// Writable memory at a program's start.
    pub pristine: Vec<u8>,
    /// Read-only memory.
    pub sealed: Vec<u8>,
    is_changed: Vec<bool>,
    granules: Vec<usize>,
}

impl MemoryModel {
    /// Memory with these regions and this content.
    #[must_use]
    pub fn new(regions: Vec<RegionModel>, pristine: Vec<u8>, sealed: Vec<u8>) -> Self {
        let is_changed = vec![false; pristine.len().div_ceil(GRANULE_BYTES)];
        Self { regions, expected: pristine.clone(), pristine, sealed, is_changed, granules: Vec::new() }
    }

    /// Whether a range lies in one region of the guest's own, writable if `write`.
    #[must_use]
    pub fn allows(&self, address: u64, size_bytes: u64, write: bool) -> bool {
        size_bytes == 0 || self.find(address, size_bytes).is_some_and(|region| region.writable || !write)
    }

    fn find(&self, address: u64, size_bytes: u64) -> Option<&RegionModel> {
        let end = u128::from(address) + u128::from(size_bytes);
        self.regions
            .iter()
            .find(|region| region.own && address >= region.start && end <= u128::from(region.end))
    }

    /// Bytes of a range that [`Self::allows`] reading; none for any other.
    #[must_use]
    pub fn bytes(&self, address: u64, size_bytes: u64) -> &[u8] {
        let Some(region) = self.find(address, size_bytes) else { return &[] };
        let content = if region.writable { &self.expected } else { &self.sealed };
        let at = region.offset + index(address - region.start);
        content.get(at..at + index(size_bytes)).unwrap_or(&[])
    }

    /// Writes a range that [`Self::allows`] writing; any other is left alone.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        let Some(region) = self.find(address, bytes.len() as u64) else { return };
        if !region.writable || bytes.is_empty() {
            return;
        }
        let at = region.offset + index(address - region.start);
        self.expected[at..at + bytes.len()].copy_from_slice(bytes);
        self.mark_offsets(at, bytes.len());
    }

    /// Marks those pieces of a range as changed that are not as they were at the start: `holds` says whether these bytes are at an offset.
    pub fn mark_unless(&mut self, address: u64, size_bytes: u64, holds: impl Fn(usize, &[u8]) -> bool) {
        let Some(region) = self.find(address, size_bytes).filter(|region| region.writable) else { return };
        let start = region.offset + index(address - region.start);
        let end = start + index(size_bytes);
        for from in (start..end).step_by(PIECE_BYTES) {
            let to = end.min(from + PIECE_BYTES);
            if !holds(from, &self.pristine[from..to]) {
                self.mark_offsets(from, to - from);
            }
        }
    }

    fn mark_offsets(&mut self, at: usize, size_bytes: usize) {
        for granule in at / GRANULE_BYTES..=(at + size_bytes - 1) / GRANULE_BYTES {
            if !self.is_changed[granule] {
                self.is_changed[granule] = true;
                self.granules.push(granule);
            }
        }
    }

    /// What was written since the last reset, as ranges of offsets: granules that follow each other are one range.
    pub fn changed(&self) -> impl Iterator<Item = Range<usize>> {
        let runs = self.granules.chunk_by(|one, next| *next == one + 1);
        runs.map(|run| {
            let from = run.first().copied().unwrap_or(0) * GRANULE_BYTES;
            from..(from + run.len() * GRANULE_BYTES).min(self.pristine.len())
        })
    }

    /// The guest address of an offset in writable memory, if a region of its own is there.
    #[must_use]
    pub fn address_of(&self, offset: usize) -> Option<u64> {
        let holds = |region: &&RegionModel| {
            let size_bytes = index(region.end - region.start);
            region.writable && (region.offset..region.offset + size_bytes).contains(&offset)
        };
        self.regions.iter().find(holds).map(|region| region.start + (offset - region.offset) as u64)
    }

    /// Makes everything as it was at the start.
    pub fn reset(&mut self) {
        for granule in self.granules.drain(..) {
            let from = granule * GRANULE_BYTES;
            let to = (from + GRANULE_BYTES).min(self.pristine.len());
            self.expected[from..to].copy_from_slice(&self.pristine[from..to]);
            self.is_changed[granule] = false;
        }
    }
}
