//! The address plan: where each region of a machine lies, in guest-virtual, guest-physical and host memory.
//!
//! ```text
//! guest-virtual      units at independent random bases, 4 KiB granular, at least 1 GiB apart, everything else unmapped
//! guest-physical     slot READ_ONLY | slot TABLES | slot WRITABLE, regions one after the other with a page between
//! host               one mapping per slot, same order and offsets
//! ```

use hvcall::Gva;
use hvcall::boot::MAX_ARGUMENT_BYTES;
use rustix::io::Errno;

use crate::address::{Gpa, LARGE_PAGE_BYTES, PAGE_BYTES, page_ceil, page_floor};
use crate::image::{Image, Permission};

/// Lowest guest-virtual address that is ever mapped.
pub const LOWEST_GVA: u64 = 1 << 32;
/// End of the lower canonical half with 4-level paging (SDM Vol. 3A, section 4.5).
pub const GVA_END: u64 = 1 << 47;
/// Least distance between units.
pub const UNIT_DISTANCE_BYTES: u64 = 1 << 30;
/// Least heap that a machine gets.
pub const MIN_HEAP_BYTES: u64 = 16 * PAGE_BYTES;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// The image's code, its gate page included.
    Text,
    /// The image's constants, and its data that is constant after relocation.
    ReadOnlyData,
    /// The image's variables.
    Data,
    /// [`hvcall::BootInfo`].
    BootInfo,
    /// The fault stubs.
    Stubs,
    /// Where the CPU writes an exception's frame.
    FaultStack,
    /// Where the CPU writes a double fault's frame.
    DoubleFaultStack,
    /// GDT, IDT and TSS.
    Descriptors,
    /// The stack.
    Stack,
    /// The heap.
    Heap,
}

/// A memory slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Sealed; `KVM_MEM_READONLY`.
    ReadOnly,
    /// Page tables and descriptors: supervisor-only.
    Tables,
    /// The guest's writable memory.
    Writable,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Tables, Self::Writable];

    /// KVM's slot number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::ReadOnly => 0,
            Self::Tables => 1,
            Self::Writable => 2,
        }
    }

    /// Guest-physical address of the slot's first byte, on a large page boundary. Slots lie above 4 GiB, clear of every
    /// address that a PC gives to a device, and far enough apart for the largest image and the largest tables.
    #[must_use]
    pub const fn base(self) -> Gpa {
        match self {
            Self::ReadOnly => Gpa(0x1_0000_0000),
            Self::Tables => Gpa(0x1_8000_0000),
            Self::Writable => Gpa(0x2_0000_0000),
        }
    }
}

/// One contiguous piece of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// What for.
    pub kind: RegionKind,
    /// First guest-virtual address.
    pub gva: Gva,
    /// Length, whole pages.
    pub size_bytes: u64,
    /// Memory slot.
    pub slot: Slot,
    /// Offset in the slot, in guest-physical and host memory alike.
    pub offset: u64,
    /// What CPL 3 may do; for a supervisor region what nobody exceeds.
    pub permission: Permission,
    /// Whether CPL 3 may touch it at all.
    pub user: bool,
}

impl Region {
    /// First guest-physical address.
    #[must_use]
    pub const fn gpa(&self) -> Gpa {
        Gpa(self.slot.base().0 + self.offset)
    }

    /// First guest-virtual address after the region.
    #[must_use]
    pub const fn end(&self) -> Gva {
        Gva(self.gva.0 + self.size_bytes)
    }
}

/// The plan of one machine.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All regions but the page tables, which no guest-virtual address reaches.
    pub regions: Vec<Region>,
    /// What image addresses are relative to.
    pub image_base: Gva,
    /// First instruction.
    pub entry: Gva,
    /// The gate.
    pub gate: Gva,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The memory does not hold image, stack, boot information and a small heap.
    #[error("{given} bytes of memory are too few for this image: it needs at least {needed} (--mem)")]
    Memory {
        /// What was asked for.
        given: u64,
        /// What would do.
        needed: u64,
    },
    /// Memory is not whole pages.
    #[error("{given} bytes of memory are not whole pages of 4096 bytes (--mem)")]
    MemoryUnit {
        /// What was asked for.
        given: u64,
    },
    /// The host gives no random numbers.
    #[error("cannot draw random addresses: {0}")]
    Random(#[from] Errno),
}

/// Pages of boot information.
const BOOT_BYTES: u64 = match page_ceil((size_of::<hvcall::BootInfo>() + MAX_ARGUMENT_BYTES) as u64) {
    Some(bytes) => bytes,
    None => 0,
};

impl Plan {
    /// Plans a machine with `memory_bytes` for image, boot information, stack and heap together. `random` gives uniform
    /// 64-bit numbers.
    ///
    /// # Errors
    /// [`LayoutError`] if the memory does not do, or `random` fails.
    pub fn new(
        image: &Image,
        memory_bytes: u64,
        random: &mut dyn FnMut() -> Result<u64, Errno>,
    ) -> Result<Self, LayoutError> {
        Self::with_fault_stack(image, memory_bytes, PAGE_BYTES, random)
    }

    /// As [`Plan::new`], with a fault stack of another size than a page, in whole pages.
    ///
    /// # Errors
    /// [`LayoutError`] if the memory does not do, or `random` fails.
    pub fn with_fault_stack(
        image: &Image,
        memory_bytes: u64,
        fault_stack_bytes: u64,
        random: &mut dyn FnMut() -> Result<u64, Errno>,
    ) -> Result<Self, LayoutError> {
        let parts = image_parts(image);
        let image_bytes: u64 = parts.iter().map(|part| part.size_bytes).sum();
        let stack_bytes = image.manifest.stack_bytes;
        let fixed = image_bytes.saturating_add(BOOT_BYTES).saturating_add(stack_bytes);
        let needed = fixed.saturating_add(MIN_HEAP_BYTES);
        if !memory_bytes.is_multiple_of(PAGE_BYTES) {
            return Err(LayoutError::MemoryUnit { given: memory_bytes });
        }
        if memory_bytes < needed {
            return Err(LayoutError::Memory { given: memory_bytes, needed });
        }
        let heap_bytes = memory_bytes - fixed;
        let mut placer = Placer::new(random);
        let image_base = placer.unit(image.span_bytes())?;
        let mut regions = Vec::with_capacity(parts.len() + 8);
        for part in parts {
            let gva = Gva(image_base.0 + part.address);
            regions.push(placer.region(part.kind, gva, part.size_bytes, part.permission));
        }
        for (kind, size_bytes, permission) in [
            (RegionKind::BootInfo, BOOT_BYTES, Permission::ReadOnly),
            (RegionKind::Stubs, PAGE_BYTES, Permission::ReadExecute),
            (RegionKind::FaultStack, fault_stack_bytes, Permission::ReadWrite),
            (RegionKind::DoubleFaultStack, PAGE_BYTES, Permission::ReadWrite),
            (RegionKind::Descriptors, PAGE_BYTES, Permission::ReadOnly),
            (RegionKind::Stack, stack_bytes, Permission::ReadWrite),
            (RegionKind::Heap, heap_bytes, Permission::ReadWrite),
        ] {
            let gva = placer.unit(size_bytes)?;
            regions.push(placer.region(kind, gva, size_bytes, permission));
        }
        Ok(Self {
            regions,
            image_base,
            entry: Gva(image_base.0 + image.entry),
            gate: Gva(image_base.0 + image.gate),
        })
    }

    /// The one region of a kind that occurs once.
    ///
    /// # Panics
    /// If there is none: the plan has one of every kind that is not part of the image.
    #[must_use]
    #[expect(clippy::expect_used, reason = "`new` makes one of each")]
    pub fn region(&self, kind: RegionKind) -> &Region {
        self.regions.iter().find(|region| region.kind == kind).expect("the plan has one region of each kind")
    }

    /// Bytes that a slot's regions span, page tables not counted.
    #[must_use]
    pub fn slot_bytes(&self, slot: Slot) -> u64 {
        let ends = self.regions.iter().filter(|region| region.slot == slot);
        ends.map(|region| region.offset + region.size_bytes).max().unwrap_or(0)
    }
}

/// A piece of the image with one permission, in link-time addresses, whole pages.
struct Part {
    kind: RegionKind,
    address: u64,
    size_bytes: u64,
    permission: Permission,
}

fn image_parts(image: &Image) -> Vec<Part> {
    let mut parts = Vec::with_capacity(image.segments.len() + 1);
    for segment in &image.segments {
        let start = page_floor(segment.memory.start);
        let end = page_ceil(segment.memory.end).unwrap_or(u64::MAX);
        let mut part = |kind, address: u64, end: u64, permission| {
            if end > address {
                parts.push(Part { kind, address, size_bytes: end - address, permission });
            }
        };
        match segment.permission {
            Permission::ReadExecute => part(RegionKind::Text, start, end, segment.permission),
            Permission::ReadOnly => part(RegionKind::ReadOnlyData, start, end, segment.permission),
            Permission::ReadWrite => {
                let split = if start == image.relro.start { image.relro.end.max(start) } else { start };
                part(RegionKind::ReadOnlyData, start, split, Permission::ReadOnly);
                part(RegionKind::Data, split, end, Permission::ReadWrite);
            }
        }
    }
    parts
}

/// Hands out addresses.
struct Placer<'a> {
    random: &'a mut dyn FnMut() -> Result<u64, Errno>,
    units: Vec<(u64, u64)>,
    next_offset: [u64; 3],
}

impl<'a> Placer<'a> {
    fn new(random: &'a mut dyn FnMut() -> Result<u64, Errno>) -> Self {
        Self { random, units: Vec::with_capacity(8), next_offset: [0; 3] }
    }

    /// A random base for `size_bytes`: uniform over all pages, drawn again if it comes too close to an earlier unit. The
    /// units together are a small part of the address space, so a few draws do.
    fn unit(&mut self, size_bytes: u64) -> Result<Gva, LayoutError> {
        loop {
            let base = page_floor((self.random)()? % GVA_END);
            let Some(end) = base.checked_add(size_bytes) else { continue };
            let fits = base >= LOWEST_GVA
                && end <= GVA_END - UNIT_DISTANCE_BYTES
                && self.units.iter().all(|&(start, stop)| {
                    end.saturating_add(UNIT_DISTANCE_BYTES) <= start
                        || stop.saturating_add(UNIT_DISTANCE_BYTES) <= base
                });
            if fits {
                self.units.push((base, end));
                return Ok(Gva(base));
            }
        }
    }

    fn region(&mut self, kind: RegionKind, gva: Gva, size_bytes: u64, permission: Permission) -> Region {
        let user = kind != RegionKind::Descriptors;
        let slot = match (kind, permission) {
            (RegionKind::Descriptors, _) => Slot::Tables,
            (_, Permission::ReadWrite) => Slot::Writable,
            (_, Permission::ReadOnly | Permission::ReadExecute) => Slot::ReadOnly,
        };
        let next = &mut self.next_offset[crate::address::index(u64::from(slot.number()))];
        let mut offset = *next;
        if kind == RegionKind::Heap {
            // Congruent modulo a large page in all three address spaces, so that the middle of the heap can use large pages.
            offset = offset.next_multiple_of(LARGE_PAGE_BYTES) + gva.0 % LARGE_PAGE_BYTES;
        }
        // One page stays unmapped between regions.
        *next = offset + size_bytes + PAGE_BYTES;
        Region { kind, gva, size_bytes, slot, offset, permission, user }
    }
}
