//! The made-up guest of the harness: one region of every kind at a fixed address, with the same gaps as in a real one.

use bytecode::Extent;
use hvcall::Gva;

use super::model::RegionModel;
use crate::address::{PAGE_BYTES, index};
use crate::image::Permission::{ReadExecute, ReadOnly, ReadWrite};
use crate::layout::{Plan, Region, RegionKind, Slot};

/// Heap of the made-up guest: larger than the largest block request.
pub const HEAP_BYTES: u64 = 1024 * 1024 + 16 * PAGE_BYTES;

/// The plan.
#[must_use]
pub fn plan() -> Plan {
    let mut next_offset = [0; 3];
    let mut regions = Vec::new();
    for (position, (kind, size_bytes, slot, permission)) in [
        (RegionKind::Text, 2 * PAGE_BYTES, Slot::ReadOnly, ReadExecute),
        (RegionKind::ReadOnlyData, 2 * PAGE_BYTES, Slot::ReadOnly, ReadOnly),
        (RegionKind::Data, 2 * PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::BootInfo, 4 * PAGE_BYTES, Slot::ReadOnly, ReadOnly),
        (RegionKind::Stubs, PAGE_BYTES, Slot::ReadOnly, ReadExecute),
        (RegionKind::FaultStack, PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::DoubleFaultStack, PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::Descriptors, PAGE_BYTES, Slot::Tables, ReadOnly),
        (RegionKind::Stack, 4 * PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::Heap, HEAP_BYTES, Slot::Writable, ReadWrite),
    ]
    .into_iter()
    .enumerate()
    {
        let offset: &mut u64 = &mut next_offset[index(u64::from(slot.number()))];
        // A page before the first region, so that what reaches before it shows, too.
        *offset += PAGE_BYTES;
        let gva = Gva(0x10_0000_0000 * (position as u64 + 1));
        let user = kind != RegionKind::Descriptors;
        regions.push(Region { kind, gva, size_bytes, slot, offset: *offset, permission, user });
        *offset += size_bytes;
    }
    let image_base = regions[0].gva;
    Plan { regions, image_base, entry: image_base, gate: Gva(image_base.0 + PAGE_BYTES) }
}

/// Order in which programs name regions: what calls mostly work on comes first.
const ORDER: [RegionKind; 10] = [
    RegionKind::Heap,
    RegionKind::Data,
    RegionKind::Stack,
    RegionKind::Text,
    RegionKind::ReadOnlyData,
    RegionKind::BootInfo,
    RegionKind::Stubs,
    RegionKind::FaultStack,
    RegionKind::DoubleFaultStack,
    RegionKind::Descriptors,
];

/// Number of regions, from the first one on, that a call may write.
pub const WRITABLE_REGIONS: u8 = 3;
/// Number of regions, from the first one on, that a call may read.
pub const READABLE_REGIONS: u8 = 6;

/// A plan's regions as programs name them.
#[must_use]
pub fn extents(plan: &Plan) -> Vec<Extent> {
    let regions = ORDER.iter().enumerate().filter_map(|(position, &kind)| {
        let region = plan.regions.iter().find(|region| region.kind == kind)?;
        let writable = position < usize::from(WRITABLE_REGIONS);
        Some(Extent { start: region.gva.0, size_bytes: region.size_bytes, writable })
    });
    regions.collect()
}

/// A region's name in listings.
#[must_use]
pub fn name(position: u8) -> &'static str {
    const NAMES: [&str; ORDER.len()] = [
        "heap",
        "data",
        "stack",
        "text",
        "rodata",
        "boot",
        "stubs",
        "fault-stack",
        "double-fault-stack",
        "descriptors",
    ];
    NAMES[usize::from(position) % NAMES.len()]
}

/// A plan's regions as the model has them.
#[must_use]
pub fn model_regions(plan: &Plan) -> Vec<RegionModel> {
    let model = |region: &Region| {
        let own = ORDER[..usize::from(READABLE_REGIONS)].contains(&region.kind);
        RegionModel {
            start: region.gva.0,
            end: region.gva.0 + region.size_bytes,
            own,
            writable: region.permission == ReadWrite && own,
            offset: index(region.offset),
        }
    };
    plan.regions.iter().filter(|region| region.slot != Slot::Tables).map(model).collect()
}
