//! GDT, IDT and TSS of a machine without ring 0, on one supervisor-only page.
//!
//! The GDT has a CPL-3 code segment and a CPL-3 data segment and no other. Every IDT gate leads to the CPL-3 code segment
//! and switches to an IST stack (SDM Vol. 3A, section 6.14.5). `int n` reaches no gate but those of vectors 3 and 4, whose
//! DPL is 3. The TSS names no stack for CPL 0 to 2; its I/O bitmap opens the gate's port, if this host's gate has one, and its
//! limit ends the bitmap there.
#![expect(unsafe_code, reason = "views packed descriptor types as bytes")]

use hvcall::Gva;
use x86::Ring;
use x86::bits64::segmentation::Descriptor64;
use x86::bits64::task::TaskStateSegment;
use x86::segmentation::{
    BuildDescriptor, CodeSegmentType, DataSegmentType, Descriptor, DescriptorBuilder, GateDescriptorBuilder,
    SegmentDescriptorBuilder, SegmentSelector,
};

use super::gate::{GATE_PORT, Gate};
use super::stubs;
use crate::address::{PAGE_BYTES, index};

/// CS: GDT entry 6, RPL 3. What kvm-pvm shows whatever it is told, so here everybody agrees.
pub const CODE_SELECTOR: SegmentSelector = SegmentSelector::new(6, Ring::Ring3);
/// SS, DS, ES, FS, GS: GDT entry 5, RPL 3.
pub const DATA_SELECTOR: SegmentSelector = SegmentSelector::new(5, Ring::Ring3);
/// TR: GDT entries 1 and 2.
pub const TASK_SELECTOR: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);

const GDT_ENTRIES: u16 = 7;
const TSS_OFFSET: u64 = 0x100;
const IDT_OFFSET: u64 = 0x200;
const IDT_ENTRY_BYTES: u64 = 16;
const TSS_FIXED_BYTES: u16 = 104;
static_assertions::const_assert_eq!(size_of::<TaskStateSegment>(), TSS_FIXED_BYTES as usize);

/// I/O bitmap bytes up to the one that holds the port gate's port, and the byte of ones that must follow (SDM Vol. 1, section
/// 19.5.2).
const BITMAP_BYTES: u16 = GATE_PORT as u16 / 8 + 2;
static_assertions::const_assert!(TSS_OFFSET + (TSS_FIXED_BYTES + BITMAP_BYTES) as u64 <= IDT_OFFSET);

/// IST entry of every vector but 8 (1-based).
const FAULT_IST: u8 = 1;
/// IST entry of vector 8.
const DOUBLE_FAULT_IST: u8 = 2;

/// Limit of the GDT.
pub const GDT_LIMIT: u16 = GDT_ENTRIES * 8 - 1;
/// Limit of the IDT: processor exceptions only.
pub const IDT_LIMIT: u16 = stubs::VECTORS as u16 * 16 - 1;
/// Limit of the TSS.
pub const TSS_LIMIT: u32 = (TSS_FIXED_BYTES + BITMAP_BYTES - 1) as u32;

/// Where the tables of a page at `base` begin.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorPage {
    /// The page.
    pub base: Gva,
}

impl DescriptorPage {
    /// The GDT.
    #[must_use]
    pub const fn gdt(self) -> Gva {
        self.base
    }

    /// The TSS.
    #[must_use]
    pub const fn tss(self) -> Gva {
        Gva(self.base.0 + TSS_OFFSET)
    }

    /// The IDT.
    #[must_use]
    pub const fn idt(self) -> Gva {
        Gva(self.base.0 + IDT_OFFSET)
    }

    /// The page's content. `fault_stack` and `double_fault_stack` are the first addresses after those stacks.
    #[must_use]
    pub fn content(self, gate: &Gate, stub_page: Gva, fault_stack: Gva, double_fault_stack: Gva) -> Vec<u8> {
        let mut page = vec![0; index(PAGE_BYTES)];
        for (entry, descriptor) in gdt(self.tss()).iter().enumerate() {
            page[entry * 8..][..8].copy_from_slice(&descriptor.to_le_bytes());
        }
        let tss = tss(gate, fault_stack, double_fault_stack);
        page[index(TSS_OFFSET)..][..tss.len()].copy_from_slice(&tss);
        for vector in 0..stubs::VECTORS {
            let at = index(IDT_OFFSET + u64::from(vector) * IDT_ENTRY_BYTES);
            page[at..][..16].copy_from_slice(&idt_gate(vector, stubs::address(stub_page, vector)));
        }
        page
    }
}

fn gdt(tss: Gva) -> [u64; GDT_ENTRIES as usize] {
    let code: Descriptor =
        DescriptorBuilder::code_descriptor(0, 0xf_ffff, CodeSegmentType::ExecuteReadAccessed)
            .present()
            .dpl(Ring::Ring3)
            .limit_granularity_4kb()
            .l()
            .finish();
    let data: Descriptor =
        DescriptorBuilder::data_descriptor(0, 0xf_ffff, DataSegmentType::ReadWriteAccessed)
            .present()
            .dpl(Ring::Ring3)
            .limit_granularity_4kb()
            .db()
            .finish();
    // Busy from the start: the TR that the monitor loads says busy, and nobody ever executes LTR.
    let task: Descriptor64 =
        <DescriptorBuilder as GateDescriptorBuilder<u64>>::tss_descriptor(tss.0, u64::from(TSS_LIMIT), false)
            .present()
            .dpl(Ring::Ring0)
            .finish();
    let task = bytes(task);
    let half = |at: usize| hvcall::Wire::read(&task[at..]);
    [0, half(0), half(8), 0, 0, data.as_u64(), code.as_u64()]
}

fn tss(gate: &Gate, fault_stack: Gva, double_fault_stack: Gva) -> Vec<u8> {
    let mut tss = TaskStateSegment::new();
    tss.set_ist(usize::from(FAULT_IST) - 1, fault_stack.0);
    tss.set_ist(usize::from(DOUBLE_FAULT_IST) - 1, double_fault_stack.0);
    tss.iomap_base = TSS_FIXED_BYTES;
    // SAFETY: the type is packed integers without padding, of exactly this size, as asserted above.
    let fixed: [u8; size_of::<TaskStateSegment>()] = unsafe { std::mem::transmute(tss) };
    let mut bitmap = [0xff; BITMAP_BYTES as usize];
    if let Some(port) = gate.port {
        bitmap[usize::from(port / 8)] &= !(1 << (port % 8));
    }
    [fixed.as_slice(), &bitmap].concat()
}

fn idt_gate(vector: u8, stub: Gva) -> [u8; 16] {
    let ring = if matches!(vector, 3 | 4) { Ring::Ring3 } else { Ring::Ring0 };
    let ist = if vector == 8 { DOUBLE_FAULT_IST } else { FAULT_IST };
    let builder =
        <DescriptorBuilder as GateDescriptorBuilder<u64>>::interrupt_descriptor(CODE_SELECTOR, stub.0);
    bytes(builder.present().dpl(ring).ist(ist).finish())
}

fn bytes(descriptor: Descriptor64) -> [u8; 16] {
    // SAFETY: the type is four packed 32-bit integers without padding.
    unsafe { std::mem::transmute(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quad(page: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(page[at..at + 8].try_into().unwrap())
    }

    fn content(gate: &Gate) -> Vec<u8> {
        let page = DescriptorPage { base: Gva(0x1122_3344_5000) };
        page.content(gate, Gva(0x6677_8899_a000), Gva(0x7000_0000_1000), Gva(0x7000_0000_3000))
    }

    #[test]
    fn a_gate_without_a_port_opens_none() {
        for gate in [Gate::VMCALL, Gate::VMMCALL] {
            assert_eq!(content(&gate)[0x168..0x179], [0xff; 17]);
        }
    }

    #[test]
    fn every_bit_is_the_intended_one() {
        let content = content(&Gate::PORT);
        assert_eq!(quad(&content, 0x28), 0x00cf_f300_0000_ffff, "SS: data, writable, accessed, DPL 3");
        assert_eq!(quad(&content, 0x30), 0x00af_fb00_0000_ffff, "CS: 64-bit code, readable, accessed, DPL 3");
        assert_eq!(quad(&content, 0x08), 0x3300_8b44_5100_0078, "TSS: busy, present, limit 120");
        assert_eq!(quad(&content, 0x10), 0x1122);
        for empty in [0, 0x18, 0x20] {
            assert_eq!(quad(&content, empty), 0);
        }
        assert_eq!(quad(&content, 0x100 + 0x24), 0x7000_0000_1000, "IST1");
        assert_eq!(quad(&content, 0x100 + 0x2c), 0x7000_0000_3000, "IST2");
        assert_eq!(content[0x166..0x168], [0x68, 0], "I/O bitmap base");
        assert_eq!(content[0x168..0x177], [0xff; 15], "ports below 0x78 are closed");
        assert_eq!(content[0x177..0x179], [0xbf, 0xff], "port 0x7e alone is open");
        assert_eq!(quad(&content, 0x200), 0x8899_8e01_0033_a000, "vector 0: interrupt gate, DPL 0, IST 1");
        assert_eq!(quad(&content, 0x208), 0x6677);
        assert_eq!(quad(&content, 0x230), 0x8899_ee01_0033_a030, "vector 3: DPL 3");
        assert_eq!(quad(&content, 0x280), 0x8899_8e02_0033_a080, "vector 8: IST 2");
        assert_eq!(quad(&content, 0x3f0), 0x8899_8e01_0033_a1f0, "vector 31, the last");
        assert_eq!((GDT_LIMIT, IDT_LIMIT, TSS_LIMIT), (55, 511, 120));
        assert_eq!((CODE_SELECTOR.bits(), DATA_SELECTOR.bits(), TASK_SELECTOR.bits()), (0x33, 0x2b, 0x08));
    }
}
