//! The bytes of a machine's memory before the first instruction.

use hvcall::{BootInfo, Wire};

use super::descriptors::DescriptorPage;
use super::gate::Gate;
use super::page_tables::PageTables;
use super::plan::{Plan, Region, RegionKind, Slot};
use super::stubs;
use crate::address::{Gpa, PAGE_BYTES, index, page_floor};
use crate::image::{Image, Segment};

/// Everything that a machine holds at first. What is not here is zero.
#[derive(Debug)]
pub struct Content {
    /// The whole of [`Slot::ReadOnly`].
    pub read_only: Vec<u8>,
    /// The whole of [`Slot::Tables`]: regions first, page tables behind them.
    pub tables: Vec<u8>,
    /// Pieces of [`Slot::Writable`]: offset and bytes.
    pub writable: Vec<(u64, Vec<u8>)>,
    /// Value for CR3.
    pub root: Gpa,
}

impl Content {
    /// Relocates the image and builds everything around it.
    #[must_use]
    pub fn new(image: &Image, plan: &Plan, gate: &Gate, boot: &BootInfo, arguments: &[u8]) -> Self {
        let mut read_only = vec![0; index(plan.slot_bytes(Slot::ReadOnly))];
        let mut writable = Vec::new();
        let linked = relocated(image, plan);
        for region in &plan.regions {
            match region.kind {
                RegionKind::Text | RegionKind::ReadOnlyData => {
                    place(&mut read_only, region, part(&linked, plan, region));
                }
                RegionKind::Data => {
                    let mut bytes = part(&linked, plan, region).to_vec();
                    bytes.truncate(file_bytes(image, region.gva.0 - plan.image_base.0));
                    writable.push((region.offset, bytes));
                }
                RegionKind::BootInfo => place(&mut read_only, region, &boot_bytes(boot, arguments)),
                RegionKind::Stubs => place(&mut read_only, region, &stubs::page(gate)),
                RegionKind::Descriptors
                | RegionKind::FaultStack
                | RegionKind::DoubleFaultStack
                | RegionKind::Stack
                | RegionKind::Heap => {}
            }
        }
        let text = plan.regions.iter().find(|region| {
            region.kind == RegionKind::Text && plan.gate >= region.gva && plan.gate < region.end()
        });
        if let Some(text) = text {
            let at = index(text.offset + (plan.gate.0 - text.gva.0));
            let page = gate.page();
            read_only[at..][..page.len()].copy_from_slice(&page);
        }
        let (tables, root) = tables(plan);
        Self { read_only, tables, writable, root }
    }
}

/// The image at its link-time addresses, relocated for its base.
fn relocated(image: &Image, plan: &Plan) -> Vec<u8> {
    let mut linked = vec![0; index(image.span_bytes())];
    for segment in &image.segments {
        let content = image.content(segment);
        linked[index(segment.memory.start)..][..content.len()].copy_from_slice(content);
    }
    for relocation in image.relocations() {
        let value = plan.image_base.0.wrapping_add(relocation.addend);
        linked[index(relocation.offset)..][..8].copy_from_slice(&value.to_le_bytes());
    }
    linked
}

fn part<'a>(linked: &'a [u8], plan: &Plan, region: &Region) -> &'a [u8] {
    &linked[index(region.gva.0 - plan.image_base.0)..][..index(region.size_bytes)]
}

/// Bytes of file content from a link-time address to the end of its segment's. What follows is zero already.
fn file_bytes(image: &Image, address: u64) -> usize {
    let holds = |segment: &&Segment| segment.memory.contains(&address);
    image.segments.iter().find(holds).map_or(0, |segment| {
        segment.file.len().saturating_sub(index(address - segment.memory.start))
    })
}

fn place(slot: &mut [u8], region: &Region, content: &[u8]) {
    slot[index(region.offset)..][..content.len()].copy_from_slice(content);
}

fn boot_bytes(boot: &BootInfo, arguments: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; BootInfo::SIZE_BYTES];
    boot.write(&mut bytes);
    bytes.extend_from_slice(arguments);
    bytes
}

fn tables(plan: &Plan) -> (Vec<u8>, Gpa) {
    let descriptors = plan.region(RegionKind::Descriptors);
    let page = DescriptorPage { base: descriptors.gva };
    let mut slot = vec![0; index(page_floor(plan.slot_bytes(Slot::Tables)))];
    let content = page.content(
        plan.region(RegionKind::Stubs).gva,
        plan.region(RegionKind::FaultStack).end(),
        plan.region(RegionKind::DoubleFaultStack).end(),
    );
    place(&mut slot, descriptors, &content);
    // As between regions, one page stays free before the tables.
    slot.resize(slot.len() + index(PAGE_BYTES), 0);
    let mut tables = PageTables::new(Gpa(Slot::Tables.base().0 + slot.len() as u64));
    for region in &plan.regions {
        tables.map(region);
    }
    let root = tables.root();
    slot.append(&mut tables.into_bytes());
    (slot, root)
}
