//! Page tables as a CPU reads them (SDM Vol. 3A, section 4.5): from CR3 down, whatever the loader meant to build.

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// First guest-virtual address.
    pub gva: u64,
    /// First guest-physical address.
    pub gpa: u64,
    /// 4 KiB, 2 MiB or 1 GiB.
    pub size_bytes: u64,
    /// Guest-physical address of the entry that maps it.
    pub entry_gpa: u64,
    /// CPL 3 may use it: all levels say so.
    pub user: bool,
    /// It may be written: all levels say so.
    pub writable: bool,
    /// It may be executed: no level says otherwise.
    pub executable: bool,
    /// Accessed and dirty bits are set, so the CPU has nothing left to write.
    pub marked: bool,
}

/// A machine's page tables, walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageTables {
    /// Every mapping, ascending.
    pub leaves: Vec<Leaf>,
    /// Guest-physical addresses of the tables themselves.
    pub tables: Vec<u64>,
    /// Every present entry of an upper level has its accessed bit set.
    pub upper_levels_marked: bool,
}

#[derive(Clone, Copy)]
struct Rights {
    user: bool,
    writable: bool,
    executable: bool,
}

impl PageTables {
    /// Walks the tables under `root`. `memory` lies at guest-physical address `base`.
    ///
    /// # Panics
    /// If a table lies outside `memory`.
    #[must_use]
    pub fn walk(memory: &[u8], base: u64, root: u64) -> Self {
        let mut walked = Self { leaves: Vec::new(), tables: Vec::new(), upper_levels_marked: true };
        let all = Rights { user: true, writable: true, executable: true };
        walked.table(&|gpa| word(memory, gpa - base), root & ADDRESS, 0, 39, all);
        walked
    }

    /// The mapping of an address.
    #[must_use]
    pub fn leaf_of(&self, gva: u64) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| gva >= leaf.gva && gva - leaf.gva < leaf.size_bytes)
    }

    fn table(&mut self, read: &impl Fn(u64) -> u64, table: u64, gva: u64, shift: u32, above: Rights) {
        self.tables.push(table);
        for index in 0..512 {
            let entry_gpa = table + index * 8;
            let entry = read(entry_gpa);
            if entry & PRESENT == 0 {
                continue;
            }
            let gva = gva | index << shift;
            let rights = Rights {
                user: above.user && entry & USER != 0,
                writable: above.writable && entry & WRITABLE != 0,
                executable: above.executable && entry & NO_EXECUTE == 0,
            };
            if shift == 12 || entry & LARGE != 0 {
                self.leaves.push(Leaf { entry_gpa, ..leaf(entry, gva, 1 << shift, rights) });
            } else {
                self.upper_levels_marked &= entry & ACCESSED != 0;
                self.table(read, entry & ADDRESS, gva, shift - 9, rights);
            }
        }
    }
}

fn leaf(entry: u64, gva: u64, size_bytes: u64, rights: Rights) -> Leaf {
    Leaf {
        // Bit 47 is copied upwards: a canonical address.
        gva: (gva << 16).cast_signed().wrapping_shr(16).cast_unsigned(),
        gpa: entry & ADDRESS & !(size_bytes - 1),
        size_bytes,
        entry_gpa: 0,
        user: rights.user,
        writable: rights.writable,
        executable: rights.executable,
        marked: entry & (ACCESSED | DIRTY) == ACCESSED | DIRTY,
    }
}

fn word(memory: &[u8], at: u64) -> u64 {
    let at = usize::try_from(at).expect("offsets fit");
    let bytes = memory.get(at..at + 8).expect("every table lies in the slot for tables");
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}
