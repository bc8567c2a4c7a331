//! KVM: a virtual machine with three memory slots, one vCPU, and nothing else.
//!
//! No interrupt controller, no timer, no device: KVM emulates none unless asked to, and an interrupt flag that is set in a
//! machine without interrupts changes nothing.

mod cpuid;
mod error;
pub mod gate;
mod ioctls;
mod setup;
pub mod state;
mod vcpu;

use kvm_bindings::{KVM_API_VERSION, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, Kvm, VmFd};

pub use error::KvmError;
pub use gate::GateChoice;
pub use ioctls::{IOCTLS, admit_sigterm};
pub use vcpu::KvmVcpu;

use crate::layout::Slot;
use crate::memory::{Mapping, SealedMemory, WritableMemory};

/// What KVM must offer, by name.
pub(crate) const CAPABILITIES: [(Cap, &str); 3] = [
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::ReadonlyMem, "KVM_CAP_READONLY_MEM"),
    (Cap::SyncRegs, "KVM_CAP_SYNC_REGS"),
];

/// Opens `/dev/kvm` and checks that it offers what a machine needs.
///
/// # Errors
/// [`KvmError`] that says what is missing and what to do about it.
pub fn open() -> Result<Kvm, KvmError> {
    let kvm = Kvm::new().map_err(|error| KvmError::Open { errno: error.errno() })?;
    let version = kvm.get_api_version();
    if version.cast_unsigned() != KVM_API_VERSION {
        return Err(KvmError::Version { found: version });
    }
    match CAPABILITIES.iter().find(|(capability, _)| !kvm.check_extension(*capability)) {
        Some((_, name)) => Err(KvmError::Capability { name }),
        None => Ok(kvm),
    }
}

/// A memory slot as it was given to the kernel, kept so that tests can compare the machine in use with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memslot {
    /// Which.
    pub slot: Slot,
    /// First guest-physical address.
    pub gpa: u64,
    /// Length.
    pub size_bytes: u64,
    /// First host address.
    pub host: u64,
    /// Whether the guest can only read and execute it, whatever its page tables say.
    pub read_only: bool,
}

/// Gives the machine its read-only slot.
///
/// # Errors
/// [`KvmError::Memory`] if the kernel refuses.
pub fn set_sealed(vm: &VmFd, memory: &SealedMemory) -> Result<Memslot, KvmError> {
    set_slot(vm, Slot::ReadOnly, memory, true)
}

/// Gives the machine a writable slot.
///
/// # Errors
/// [`KvmError::Memory`] if the kernel refuses.
pub fn set_writable(vm: &VmFd, slot: Slot, memory: &WritableMemory) -> Result<Memslot, KvmError> {
    set_slot(vm, slot, memory, false)
}

#[expect(unsafe_code, reason = "hands host memory to a virtual machine")]
fn set_slot(vm: &VmFd, slot: Slot, memory: &Mapping, read_only: bool) -> Result<Memslot, KvmError> {
    let (host, size_bytes) = (memory.base().addr().get() as u64, memory.size_bytes() as u64);
    let slot = Memslot { slot, gpa: slot.base().0, size_bytes, host, read_only };
    let region = kvm_userspace_memory_region {
        slot: slot.slot.number(),
        flags: if slot.read_only { KVM_MEM_READONLY } else { 0 },
        guest_phys_addr: slot.gpa,
        memory_size: slot.size_bytes,
        userspace_addr: slot.host,
    };
    // SAFETY: the range is a mapping owned by the machine, which keeps it for as long as its vCPU exists. Rust code touches it
    // only through `GuestMemory`, which forms no references, and while the vCPU is stopped.
    let set = unsafe { vm.set_user_memory_region(region) };
    set.map_err(|error| KvmError::Memory { size_bytes: slot.size_bytes, errno: error.errno() })?;
    Ok(slot)
}
