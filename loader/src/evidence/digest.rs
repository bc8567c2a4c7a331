//! Digests of a machine's actual memory: of the pages that its CPU uses, not of what they were made from.

use sha2::{Digest as _, Sha256};

use super::record::{DIGEST_BYTES, Digests};
use crate::address::index;
use crate::layout::{Plan, Region, RegionKind, Slot};
use crate::memory::{Mapping, SealedMemory, WritableMemory};

/// Digests the memory of a machine whose guest does not run.
#[must_use]
pub fn of(plan: &Plan, sealed: &SealedMemory, tables: Option<&WritableMemory>) -> Digests {
    let regions = |wanted: &dyn Fn(&Region) -> bool| {
        let mut hasher = Sha256::new();
        for region in plan.regions.iter().filter(|region| region.slot == Slot::ReadOnly && wanted(region)) {
            add(&mut hasher, sealed, region.offset, region.size_bytes);
        }
        hasher.finalize().into()
    };
    let mut digests = Digests {
        text: regions(&|region| region.kind == RegionKind::Text),
        constants: regions(&|region| region.kind == RegionKind::ReadOnlyData),
        monitor_pages: regions(&|region| matches!(region.kind, RegionKind::BootInfo | RegionKind::Stubs)),
        ..Digests::default()
    };
    if let Some(tables) = tables {
        // The descriptor page comes first in its slot, all that follows are page tables.
        let descriptors = plan.region(RegionKind::Descriptors);
        let end = descriptors.offset + descriptors.size_bytes;
        digests.descriptors = one(tables, descriptors.offset, descriptors.size_bytes);
        digests.page_tables = one(tables, end, tables.size_bytes() as u64 - end);
    }
    digests
}

fn one(memory: &Mapping, offset: u64, size_bytes: u64) -> [u8; DIGEST_BYTES] {
    let mut hasher = Sha256::new();
    add(&mut hasher, memory, offset, size_bytes);
    hasher.finalize().into()
}

/// A page at a time, by way of a copy: memory that a guest could write is never borrowed.
fn add(hasher: &mut Sha256, memory: &Mapping, offset: u64, size_bytes: u64) {
    let mut page = [0; 4096];
    for at in (offset..offset + size_bytes).step_by(page.len()) {
        memory.copy_to(index(at), &mut page);
        hasher.update(page);
    }
}
