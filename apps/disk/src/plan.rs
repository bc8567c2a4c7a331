//! Where on the disk there is something to write: the beginning, in pieces of many sizes, and places where numbers overflow.

use alloc::vec::Vec;

use guest::block::Disk;
use guest::{GIB, MIB};

/// Sectors in a row.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) sector: u64,
    pub(crate) count: u64,
}

impl Extent {
    pub(crate) const fn end(&self) -> u64 {
        self.sector + self.count
    }

    pub(crate) fn contains(&self, sector: u64) -> bool {
        (self.sector..self.end()).contains(&sector)
    }
}

/// Most data at the beginning of the disk.
const BULK_BYTES: u64 = 64 * MIB;
/// Largest piece: more than one request holds.
const PIECE_BYTES: u64 = 3 * MIB / 2;
/// Sizes of the pieces, in turn.
const PIECE_SECTORS: [u64; 9] = [1, 2, 7, 8, 64, 255, 256, 1024, 3072];
/// Where 32-bit byte counts, signed or not, and 32-bit counts of 512-byte sectors end.
const EDGES_BYTES: [u64; 5] = [2 * GIB, 4 * GIB, 8 * GIB, 1024 * GIB, 2048 * GIB];
/// Sectors on each side of an edge.
const EDGE_SECTORS: u64 = 4;

/// Everything that is written, in disk order, without overlap.
pub(crate) fn extents(disk: Disk) -> Vec<Extent> {
    let sector_bytes = u64::from(disk.sector_bytes());
    let bulk = disk.sectors().min(BULK_BYTES / sector_bytes);
    let mut extents = Vec::new();
    let mut sector = 0;
    for size in PIECE_SECTORS.into_iter().cycle() {
        if sector == bulk {
            break;
        }
        let count = size.min(PIECE_BYTES / sector_bytes).min(bulk - sector);
        extents.push(Extent { sector, count });
        sector += count;
    }
    let edges = EDGES_BYTES.into_iter().map(|edge| edge / sector_bytes);
    for middle in edges.filter(|&edge| edge < disk.sectors()).chain([disk.sectors()]) {
        let start = middle.saturating_sub(EDGE_SECTORS).max(sector);
        let end = (middle + EDGE_SECTORS).min(disk.sectors());
        if start < end {
            extents.push(Extent { sector: start, count: end - start });
            sector = end;
        }
    }
    extents
}

/// The sectors that are discarded after everything was written: an eighth of the beginning.
pub(crate) fn hole(disk: Disk) -> Extent {
    let bulk = disk.sectors().min(BULK_BYTES / u64::from(disk.sector_bytes()));
    Extent { sector: bulk / 2, count: bulk / 8 }
}
