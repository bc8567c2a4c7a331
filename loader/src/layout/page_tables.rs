//! Four-level page tables, built once, complete before the first instruction.
//!
//! Permissions are decided by the last level alone; upper levels allow everything. Accessed and dirty bits are preset, so the
//! CPU has nothing to write into a table and its hash never changes. No guest-virtual address leads to a table.

use hvcall::Gva;
use x86::bits64::paging::{
    PAddr, PDEntry, PDFlags, PTEntry, PTFlags, VAddr, pd_index, pdpt_index, pml4_index, pt_index,
};

use crate::address::{Gpa, LARGE_PAGE_BYTES, PAGE_BYTES, index};
use crate::image::Permission;
use crate::layout::{Region, RegionKind};

const ENTRIES: usize = 512;

/// Page tables under construction, in the memory where the CPU will find them. The first table is the PML4.
#[derive(Debug)]
pub struct PageTables<'a> {
    base: Gpa,
    words: &'a mut [u64],
    used: usize,
}

impl<'a> PageTables<'a> {
    /// Empty tables in zeroed `words`, which lie at `base` and have room for [`table_count`] tables of 512.
    #[must_use]
    pub const fn new(base: Gpa, words: &'a mut [u64]) -> Self {
        Self { base, words, used: 1 }
    }

    /// Value for CR3.
    #[must_use]
    pub const fn root(&self) -> Gpa {
        self.base
    }

    /// Maps a region. The heap gets large pages where all three addresses allow it.
    pub fn map(&mut self, region: &Region) {
        let end = region.end().0;
        let (mut gva, mut gpa) = (region.gva.0, region.gpa().0);
        while gva < end {
            let large = region.kind == RegionKind::Heap
                && gva.is_multiple_of(LARGE_PAGE_BYTES)
                && gpa.is_multiple_of(LARGE_PAGE_BYTES)
                && end - gva >= LARGE_PAGE_BYTES;
            let step = if large {
                self.map_large(Gva(gva), Gpa(gpa), flags(region));
                LARGE_PAGE_BYTES
            } else {
                self.map_page(Gva(gva), Gpa(gpa), flags(region));
                PAGE_BYTES
            };
            gva += step;
            gpa += step;
        }
    }

    fn map_page(&mut self, gva: Gva, gpa: Gpa, flags: PTFlags) {
        let address = VAddr::from_u64(gva.0);
        let directory = self.directory(address);
        let table = self.next(directory, pd_index(address));
        self.words[table * ENTRIES + pt_index(address)] = PTEntry::new(PAddr::from(gpa.0), flags).0;
    }

    fn map_large(&mut self, gva: Gva, gpa: Gpa, flags: PTFlags) {
        let address = VAddr::from_u64(gva.0);
        let directory = self.directory(address);
        // A directory entry that maps a page has the same flags as a table entry, and PS (SDM Vol. 3A, table 4-18).
        let flags = PDFlags::from_bits_truncate(flags.bits()) | PDFlags::PS;
        self.words[directory * ENTRIES + pd_index(address)] = PDEntry::new(PAddr::from(gpa.0), flags).0;
    }

    fn directory(&mut self, address: VAddr) -> usize {
        let pointers = self.next(0, pml4_index(address));
        self.next(pointers, pdpt_index(address))
    }

    /// Index of the table that an upper-level entry leads to, made if there is none.
    fn next(&mut self, table: usize, entry: usize) -> usize {
        let old = PTEntry(self.words[table * ENTRIES + entry]);
        if old.is_present() {
            return index((old.address().as_u64() - self.base.0) / PAGE_BYTES);
        }
        let made = self.used;
        self.used += 1;
        let address = PAddr::from(self.base.0 + made as u64 * PAGE_BYTES);
        let flags = PTFlags::P | PTFlags::RW | PTFlags::US | PTFlags::A;
        self.words[table * ENTRIES + entry] = PTEntry::new(address, flags).0;
        made
    }
}

/// How many tables the regions need at most: at each level one for every entry of the level above that a region touches.
#[must_use]
pub fn table_count(regions: &[Region]) -> usize {
    let touched =
        |region: &Region, shift: u32| index(((region.end().0 - 1) >> shift) - (region.gva.0 >> shift) + 1);
    let of_region = |region: &Region| [39, 30, 21].map(|shift| touched(region, shift)).iter().sum::<usize>();
    1 + regions.iter().map(of_region).sum::<usize>()
}

fn flags(region: &Region) -> PTFlags {
    let mut flags = PTFlags::P | PTFlags::A | PTFlags::D;
    flags.set(PTFlags::US, region.user);
    flags.set(PTFlags::RW, region.permission == Permission::ReadWrite);
    flags.set(PTFlags::XD, region.permission != Permission::ReadExecute);
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Slot;

    fn region(kind: RegionKind, gva: u64, size_bytes: u64, offset: u64) -> Region {
        let (slot, permission) = if kind == RegionKind::Text {
            (Slot::ReadOnly, Permission::ReadExecute)
        } else if kind == RegionKind::Descriptors {
            (Slot::Tables, Permission::ReadOnly)
        } else {
            (Slot::Writable, Permission::ReadWrite)
        };
        let user = kind != RegionKind::Descriptors;
        Region { kind, gva: Gva(gva), size_bytes, slot, offset, permission, user }
    }

    fn mapped(base: Gpa, region: &Region) -> Vec<u8> {
        let mut words = vec![0; table_count(std::slice::from_ref(region)) * ENTRIES];
        PageTables::new(base, &mut words).map(region);
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Walks as the CPU does: the leaf entry and whether it is a large page.
    fn walk(bytes: &[u8], base: u64, gva: u64) -> Option<(u64, bool)> {
        let mut table = 0;
        for shift in [39, 30, 21, 12] {
            let at = table + index(gva >> shift & 511) * 8;
            let entry = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            if entry & 1 == 0 {
                return None;
            }
            if shift == 12 || (shift == 21 && entry & 0x80 != 0) {
                return Some((entry, shift == 21));
            }
            table = index((entry & 0x000f_ffff_ffff_f000) - base);
        }
        unreachable!("the last level returns")
    }

    #[test]
    fn leaves_carry_exactly_the_regions_rights() {
        const NX: u64 = 1 << 63;
        let base = Slot::Tables.base();
        for (kind, expected) in
            [(RegionKind::Text, 0x65), (RegionKind::Data, 0x67 | NX), (RegionKind::Descriptors, 0x61 | NX)]
        {
            let region = region(kind, 0x5555_5555_5000, 3 * PAGE_BYTES, PAGE_BYTES);
            let bytes = mapped(base, &region);
            let (entry, large) = walk(&bytes, base.0, region.gva.0 + 2 * PAGE_BYTES).unwrap();
            assert_eq!(entry, (region.gpa().0 + 2 * PAGE_BYTES) | expected, "{kind:?}");
            assert!(!large);
            assert_eq!(walk(&bytes, base.0, region.gva.0 - PAGE_BYTES), None);
            assert_eq!(walk(&bytes, base.0, region.end().0), None);
        }
    }

    #[test]
    fn the_middle_of_a_congruent_heap_is_large_pages() {
        let base = Slot::Tables.base();
        let heap = region(RegionKind::Heap, 0x1234_5678_9000, 4 * LARGE_PAGE_BYTES, 0x18_9000);
        assert_eq!(heap.gva.0 % LARGE_PAGE_BYTES, heap.gpa().0 % LARGE_PAGE_BYTES);
        let bytes = mapped(base, &heap);
        let mut large_pages = 0;
        for at in (0..heap.size_bytes).step_by(index(PAGE_BYTES)) {
            let (entry, large) = walk(&bytes, base.0, heap.gva.0 + at).unwrap();
            let within = if large { (at + heap.gva.0) & (LARGE_PAGE_BYTES - 1) } else { 0 };
            assert_eq!((entry & 0x000f_ffff_ffff_f000) + within, heap.gpa().0 + at);
            large_pages += usize::from(large && within == 0);
        }
        assert_eq!(large_pages, 3);
    }
}
