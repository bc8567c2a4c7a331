//! The vCPU's state at entry, as values.

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};
use x86::controlregs::{Cr0, Cr4};

pub use super::cpuid::Features;
use crate::address::Gpa;
use crate::layout::descriptors::{
    CODE_SELECTOR, DATA_SELECTOR, DescriptorPage, GDT_LIMIT, IDT_LIMIT, TASK_SELECTOR, TSS_LIMIT,
};
use crate::layout::{Plan, RegionKind};

/// EFER: long mode enabled and active, no-execute enabled. SCE is clear (SDM Vol. 4, table 2-2, MSR C0000080h).
pub const EFER: u64 = 1 << 8 | 1 << 10 | 1 << 11;

/// Special registers. `reset` supplies what is not the machine's business.
#[must_use]
pub fn special_registers(reset: &kvm_sregs, plan: &Plan, root: Gpa, features: Features) -> kvm_sregs {
    let page = DescriptorPage { base: plan.region(RegionKind::Descriptors).gva };
    let data = segment(DATA_SELECTOR.bits(), 0x3, false);
    kvm_sregs {
        cs: segment(CODE_SELECTOR.bits(), 0xb, true),
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        tr: kvm_segment {
            base: page.tss().0,
            limit: TSS_LIMIT,
            selector: TASK_SELECTOR.bits(),
            // Busy 64-bit TSS; Intel refuses to enter with another type (SDM Vol. 3C, section 28.3.1.2).
            type_: 0xb,
            present: 1,
            ..kvm_segment::default()
        },
        ldt: kvm_segment { unusable: 1, type_: 2, ..kvm_segment::default() },
        gdt: kvm_dtable { base: page.gdt().0, limit: GDT_LIMIT, ..kvm_dtable::default() },
        idt: kvm_dtable { base: page.idt().0, limit: IDT_LIMIT, ..kvm_dtable::default() },
        cr0: cr0().bits() as u64,
        cr2: 0,
        cr3: root.0,
        cr4: cr4(features).bits() as u64,
        cr8: 0,
        efer: EFER,
        apic_base: reset.apic_base,
        interrupt_bitmap: [0; 4],
    }
}

/// XCR0: x87 and SSE, AVX where there is any (SDM Vol. 1, section 13.3).
#[must_use]
pub const fn xcr0(features: Features) -> u64 {
    if features.avx { 0b111 } else { 0b011 }
}

/// General registers: the contract's "State at entry".
#[must_use]
pub fn general_registers(plan: &Plan) -> kvm_regs {
    kvm_regs {
        rip: plan.entry.0,
        rdi: plan.region(RegionKind::BootInfo).gva.0,
        // As behind a call instruction: 8 mod 16.
        rsp: plan.region(RegionKind::Stack).end().0 - 8,
        // Bit 1 is always set; IF is set because some emulators hang on a machine that can never be interrupted.
        rflags: 0x202,
        ..kvm_regs::default()
    }
}

fn cr0() -> Cr0 {
    Cr0::CR0_PROTECTED_MODE
        | Cr0::CR0_MONITOR_COPROCESSOR
        | Cr0::CR0_EXTENSION_TYPE
        | Cr0::CR0_NUMERIC_ERROR
        | Cr0::CR0_WRITE_PROTECT
        | Cr0::CR0_ENABLE_PAGING
}

fn cr4(features: Features) -> Cr4 {
    let mut cr4 = Cr4::CR4_ENABLE_PAE | Cr4::CR4_ENABLE_SSE | Cr4::CR4_UNMASKED_SSE;
    cr4.set(Cr4::CR4_ENABLE_OS_XSAVE, features.xsave);
    cr4.set(Cr4::CR4_ENABLE_FSGSBASE, features.fsgsbase);
    cr4.set(Cr4::CR4_ENABLE_UMIP, features.umip);
    cr4
}

/// A flat CPL-3 segment.
fn segment(selector: u16, type_: u8, code: bool) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        dpl: 3,
        db: u8::from(!code),
        s: 1,
        l: u8::from(code),
        g: 1,
        ..kvm_segment::default()
    }
}
