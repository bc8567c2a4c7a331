//! The CPUID table: this CPU's own leaves, as far as a machine needs them.
//!
//! Asking KVM for its supported table costs more than creating a VM (KVM_GET_SUPPORTED_CPUID walks every leaf), so the table is
//! built from the instruction itself; KVM ignores bits it does not support for what it derives from the table (which CR4
//! and XCR0 bits may be set). It is no security control: kvm-pvm does not apply it at CPL 3.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

use super::KvmError;

/// Leaf 1 ECX: the CPU has XSAVE, and the host's kernel uses it. KVM gives a guest no state that its kernel does not keep.
const XSAVE: u32 = 0b11 << 26;
/// Leaf 1 ECX bits that describe a machine's own state, not the CPU: MONITOR, VMX, x2APIC, TSC deadline, OSXSAVE.
const LEAF_1_ECX_OFF: u32 = 1 << 3 | 1 << 5 | 1 << 21 | 1 << 24 | 1 << 27;
/// Leaf 1 ECX: software may look for a hypervisor.
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 7 EBX: FSGSBASE.
const FSGSBASE: u32 = 1;
/// Leaf 7 ECX: UMIP.
const UMIP: u32 = 1 << 2;

/// What the machine's control registers can have on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// XSAVE and XCR0.
    pub xsave: bool,
    /// AVX state.
    pub avx: bool,
    /// RDFSBASE and friends.
    pub fsgsbase: bool,
    /// User-mode instruction prevention.
    pub umip: bool,
}

impl Features {
    /// Those of this CPU.
    pub(super) fn of_host() -> Self {
        let one = leaf(1, 0);
        let seven = leaf(7, 0);
        Self {
            xsave: one.ecx & XSAVE == XSAVE,
            // In XCR0 too, as KVM's limit for the guest's is the host's.
            avx: std::arch::is_x86_feature_detected!("avx"),
            fsgsbase: seven.ebx & FSGSBASE != 0,
            umip: seven.ecx & UMIP != 0,
        }
    }
}

/// The table for KVM_SET_CPUID2.
pub(super) fn table() -> Result<CpuId, KvmError> {
    let mut entries = vec![leaf(0, 0), leaf(1, 0), leaf(7, 0)];
    entries[0].eax = 0xd;
    entries[1].ecx = entries[1].ecx & !LEAF_1_ECX_OFF | HYPERVISOR;
    // Subleaf 0 alone.
    entries[2].eax = 0;
    // KVM on VMX gives it to machines on CPUs that lack it; where it does not, this bit means nothing.
    entries[2].ecx |= UMIP;
    if Features::of_host().xsave {
        // State components x87 and SSE are legacy; 2 is AVX (SDM Vol. 1, section 13.2).
        entries.extend([0, 1, 2].map(|subleaf| leaf(0xd, subleaf)));
    }
    let highest = leaf(0x8000_0000, 0).eax.min(0x8000_0008);
    entries.extend((0x8000_0000..=highest).map(|number| leaf(number, 0)));
    CpuId::from_entries(&entries).map_err(|_| KvmError::Ioctl { ioctl: "KVM_SET_CPUID2", errno: libc::E2BIG })
}

fn leaf(function: u32, index: u32) -> kvm_cpuid_entry2 {
    let result = std::arch::x86_64::__cpuid_count(function, index);
    let flags = if matches!(function, 7 | 0xd) { KVM_CPUID_FLAG_SIGNIFCANT_INDEX } else { 0 };
    kvm_cpuid_entry2 {
        function,
        index,
        flags,
        eax: result.eax,
        ebx: result.ebx,
        ecx: result.ecx,
        edx: result.edx,
        ..kvm_cpuid_entry2::default()
    }
}
