//! Which gate this KVM offers.
//!
//! KVM keeps hypercalls of CPL 3 from user space unless it is told that the machine is a Xen guest: then every `vmcall` (on VMX) or
//! `vmmcall` (on SVM) exits, whatever RAX holds. Nothing else of Xen is configured.

use std::fmt;

use kvm_bindings::{
    KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_FIX_HYPERCALL_INSN, KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    kvm_enable_cap, kvm_xen_hvm_config,
};
use kvm_ioctls::{Cap, Kvm, VmFd};

use super::{KvmError, ioctls};
use crate::layout::Gate;

/// Leaf 1 ECX: the CPU has VMX.
const VMX: u32 = 1 << 5;
/// Leaf 8000_0001h ECX: the CPU has SVM.
const SVM: u32 = 1 << 2;
/// First MSR of the range that Xen's hypercall page may be asked for through. KVM refuses others, and with 0 the intercept is off.
const XEN_MSR: u32 = 0x4000_0000;

/// The gate that a user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateChoice {
    /// The native hypercall where this KVM passes it on, otherwise the port.
    #[default]
    Auto,
    /// This one or none.
    Only(Gate),
}

impl fmt::Display for GateChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Only(gate) => gate.name,
        })
    }
}

/// The gate to use on this host.
///
/// # Errors
/// [`KvmError::Gate`] if the one that is asked for does not reach the monitor here.
pub fn choose(kvm: &Kvm, choice: GateChoice) -> Result<Gate, KvmError> {
    let native = native(kvm);
    match choice {
        GateChoice::Auto => Ok(native.unwrap_or(Gate::PORT)),
        GateChoice::Only(gate) if gate == Gate::PORT || native == Some(gate) => Ok(gate),
        GateChoice::Only(gate) => {
            Err(KvmError::Gate { wanted: gate.name, offered: native.unwrap_or(Gate::PORT).name })
        }
    }
}

/// The CPU's own hypercall instruction, if this KVM passes it on. KVM without VMX and SVM (kvm-pvm) does not.
fn native(kvm: &Kvm) -> Option<Gate> {
    let xen = kvm.check_extension_int(Cap::XenHvm).cast_unsigned();
    if xen & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL == 0 {
        return None;
    }
    let ecx = |leaf| std::arch::x86_64::__cpuid(leaf).ecx;
    if ecx(0x8000_0001) & SVM != 0 {
        Some(Gate::VMMCALL)
    } else if ecx(1) & VMX != 0 {
        Some(Gate::VMCALL)
    } else {
        None
    }
}

/// Makes the gate's instruction reach user space.
///
/// # Errors
/// [`KvmError::Ioctl`] if the kernel refuses.
pub fn configure(vm: &VmFd, gate: &Gate) -> Result<(), KvmError> {
    keep_hypercall_instructions(vm)?;
    if *gate == Gate::PORT {
        return Ok(());
    }
    let config = kvm_xen_hvm_config {
        flags: KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
        msr: XEN_MSR,
        ..kvm_xen_hvm_config::default()
    };
    ioctls::set_xen_config(vm, &config)
}

/// By default KVM replaces the other vendor's hypercall instruction, in the guest's memory, by this one's. Here it is an invalid
/// instruction instead.
fn keep_hypercall_instructions(vm: &VmFd) -> Result<(), KvmError> {
    let quirks = vm.check_extension_raw(u64::from(KVM_CAP_DISABLE_QUIRKS2)).cast_unsigned();
    if quirks & KVM_X86_QUIRK_FIX_HYPERCALL_INSN == 0 {
        return Ok(());
    }
    let mut disable = kvm_enable_cap { cap: KVM_CAP_DISABLE_QUIRKS2, ..kvm_enable_cap::default() };
    disable.args[0] = u64::from(KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
    vm.enable_cap(&disable).map_err(|error| KvmError::ioctl("KVM_ENABLE_CAP(DISABLE_QUIRKS2)", error))
}
