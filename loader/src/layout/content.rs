//! The bytes of a machine's memory before the first instruction.
//!
//! Nothing is copied that need not be: code and constants go from the image file's bytes straight into sealed memory, tables
//! are built where the CPU will read them. Starting is mostly page faults, so each copy saved is time saved.

use std::borrow::Cow;

use hvcall::{BootInfo, Wire};

use super::descriptors::DescriptorPage;
use super::gate::Gate;
use super::page_tables::{PageTables, table_count};
use super::plan::{Plan, Region, RegionKind, Slot};
use super::stubs;
use crate::address::{Gpa, PAGE_BYTES, index};
use crate::image::{Image, Permission, Segment};
use crate::memory::WritableMemory;

/// A piece of a slot: its offset there, and its bytes.
pub type Piece<'a> = (u64, Cow<'a, [u8]>);

/// What two slots hold at first. What no piece covers is zero.
#[derive(Debug, Default)]
pub struct Content<'a> {
    /// Pieces of [`Slot::ReadOnly`]. Later ones replace what earlier ones put there.
    pub read_only: Vec<Piece<'a>>,
    /// Pieces of [`Slot::Writable`].
    pub writable: Vec<Piece<'a>>,
}

impl<'a> Content<'a> {
    /// Relocates the image and places it, boot information, stubs and the gate.
    #[must_use]
    pub fn new(image: &'a Image, plan: &Plan, gate: &Gate, boot: &BootInfo, arguments: &[u8]) -> Self {
        let mut content = Self::default();
        for segment in &image.segments {
            let bytes = match segment.permission {
                Permission::ReadOnly | Permission::ReadExecute => Cow::Borrowed(image.content(segment)),
                Permission::ReadWrite => Cow::Owned(relocated(image, segment, plan)),
            };
            content.place_segment(plan, segment, bytes);
        }
        let region = |kind| plan.region(kind).offset;
        content.read_only.push((region(RegionKind::BootInfo), Cow::Owned(boot_bytes(boot, arguments))));
        content.read_only.push((region(RegionKind::Stubs), Cow::Owned(stubs::page(gate))));
        if let Some(text) = plan.regions.iter().find(|region| holds(region, plan.gate.0)) {
            let at = text.offset + (plan.gate.0 - text.gva.0);
            content.read_only.push((at, Cow::Owned(gate.page().to_vec())));
        }
        content
    }

    /// Places a segment's file content in the one or two regions that it became.
    fn place_segment(&mut self, plan: &Plan, segment: &Segment, bytes: Cow<'a, [u8]>) {
        let start = plan.image_base.0 + segment.memory.start;
        let end = start + bytes.len() as u64;
        for region in plan.regions.iter().filter(|region| region.gva.0 < end && region.end().0 > start) {
            let from = start.max(region.gva.0);
            let part = index(from - start)..index(end.min(region.end().0) - start);
            let part = match &bytes {
                Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[part]),
                Cow::Owned(bytes) => Cow::Owned(bytes[part].to_vec()),
            };
            let pieces = if region.slot == Slot::Writable { &mut self.writable } else { &mut self.read_only };
            pieces.push((region.offset + (from - region.gva.0), part));
        }
    }
}

/// A writable segment's file content with the image's relocations applied. The parser has checked that every relocation lies in
/// such content.
fn relocated(image: &Image, segment: &Segment, plan: &Plan) -> Vec<u8> {
    let mut bytes = image.content(segment).to_vec();
    for relocation in image.relocations() {
        let Some(at) = relocation.offset.checked_sub(segment.memory.start) else { continue };
        if let Some(word) = bytes.get_mut(index(at)..).and_then(|rest| rest.first_chunk_mut::<8>()) {
            *word = plan.image_base.0.wrapping_add(relocation.addend).to_le_bytes();
        }
    }
    bytes
}

fn holds(region: &Region, address: u64) -> bool {
    region.kind == RegionKind::Text && (region.gva.0..region.end().0).contains(&address)
}

fn boot_bytes(boot: &BootInfo, arguments: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; BootInfo::SIZE_BYTES];
    boot.write(&mut bytes);
    bytes.extend_from_slice(arguments);
    bytes
}

/// Where the page tables begin in [`Slot::Tables`]: behind the regions, with the free page that lies between regions.
fn tables_offset(plan: &Plan) -> u64 {
    plan.slot_bytes(Slot::Tables) + PAGE_BYTES
}

/// Bytes of [`Slot::Tables`].
#[must_use]
pub fn tables_bytes(plan: &Plan) -> u64 {
    tables_offset(plan) + table_count(&plan.regions) as u64 * PAGE_BYTES
}

/// Fills [`Slot::Tables`], zeroed memory of [`tables_bytes`], and gives the value for CR3.
pub fn fill_tables(plan: &Plan, gate: &Gate, memory: &mut WritableMemory) -> Gpa {
    let descriptors = plan.region(RegionKind::Descriptors);
    let page = DescriptorPage { base: descriptors.gva };
    let content = page.content(
        gate,
        plan.region(RegionKind::Stubs).gva,
        plan.region(RegionKind::FaultStack).end(),
        plan.region(RegionKind::DoubleFaultStack).end(),
    );
    memory.fill(index(descriptors.offset), &content);
    let offset = tables_offset(plan);
    let words = &mut memory.words_mut()[index(offset) / size_of::<u64>()..];
    let mut tables = PageTables::new(Gpa(Slot::Tables.base().0 + offset), words);
    for region in &plan.regions {
        tables.map(region);
    }
    tables.root()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that end up at a link-time address of the image.
    fn placed(content: &Content<'_>, plan: &Plan, address: u64, len: usize) -> Vec<u8> {
        let gva = plan.image_base.0 + address;
        let region =
            plan.regions.iter().find(|region| (region.gva.0..region.end().0).contains(&gva)).unwrap();
        let pieces = if region.slot == Slot::Writable { &content.writable } else { &content.read_only };
        let mut memory = vec![0; index(plan.slot_bytes(region.slot))];
        for (offset, bytes) in pieces {
            memory[index(*offset)..][..bytes.len()].copy_from_slice(bytes);
        }
        memory[index(region.offset + (gva - region.gva.0))..][..len].to_vec()
    }

    #[test]
    fn every_byte_of_every_segment_is_at_its_address() {
        // Segments as linkers make them: only their pages are disjoint, their starts lie anywhere in a page.
        let image = Image::sample(&[
            (0x0000, 0x0500, Permission::ReadOnly),
            (0x1500, 0x1b00, Permission::ReadExecute),
            (0x4b00, 0x0800, Permission::ReadWrite),
            (0x66c0, 0x1234, Permission::ReadWrite),
        ]);
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Ok(seed)
        };
        let plan = Plan::new(&image, 1 << 20, &mut random).unwrap();
        let content = Content::new(&image, &plan, &Gate::PORT, &BootInfo::default(), &[]);
        for segment in &image.segments {
            let expected = image.content(segment);
            assert!(expected.iter().any(|&byte| byte != 0));
            let found = placed(&content, &plan, segment.memory.start, expected.len());
            if segment.permission == Permission::ReadExecute {
                // But for the gate, which is this host's.
                let gate = index(image.gate - segment.memory.start);
                assert_eq!(found[..gate], expected[..gate]);
                assert_eq!(found[gate..gate + 2], *Gate::PORT.trap);
            } else {
                assert_eq!(found, expected, "{segment:x?}");
            }
        }
    }
}
