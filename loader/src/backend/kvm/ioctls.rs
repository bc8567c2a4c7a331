//! ioctls that kvm-ioctls does not wrap on x86.
#![expect(unsafe_code, reason = "ioctls take pointers")]

use std::os::fd::AsRawFd as _;

use kvm_bindings::{KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, kvm_device_attr, kvm_xen_hvm_config};
use kvm_ioctls::{VcpuFd, VmFd};

use super::KvmError;

/// `KVM_SET_SIGNAL_MASK` = `_IOW(KVMIO, 0x8b, struct kvm_signal_mask)` (include/uapi/linux/kvm.h, v6.12): 4 bytes, its array does not
/// count.
const KVM_SET_SIGNAL_MASK: libc::c_ulong = 0x4004_ae8b;
/// `KVM_SET_DEVICE_ATTR` = `_IOW(KVMIO, 0xe1, struct kvm_device_attr)` (same file).
const KVM_SET_DEVICE_ATTR: libc::c_ulong = 0x4018_aee1;
static_assertions::const_assert_eq!(size_of::<kvm_device_attr>(), 0x18);
/// `KVM_XEN_HVM_CONFIG` = `_IOW(KVMIO, 0x7a, struct kvm_xen_hvm_config)` (same file).
const KVM_XEN_HVM_CONFIG: libc::c_ulong = 0x4038_ae7a;
static_assertions::const_assert_eq!(size_of::<kvm_xen_hvm_config>(), 0x38);
/// The ioctls of a running vCPU: `KVM_RUN` = `_IO(KVMIO, 0x80)`, and `KVM_GET_SREGS` = `_IOR(KVMIO, 0x83, struct kvm_sregs)` for CR2 in
/// a fault report (same file).
pub const IOCTLS: [u64; 2] = [0xae80, 0x8138_ae83];
/// Bytes of the kernel's `sigset_t`.
const KERNEL_SIGSET_BYTES: u32 = 8;

/// `struct kvm_signal_mask` with its array.
#[repr(C, packed)]
struct SignalMask {
    size_bytes: u32,
    blocked: u64,
}
static_assertions::const_assert_eq!(size_of::<SignalMask>(), 12);

/// Lets SIGTERM, and nothing else that can be blocked, interrupt the guest. Outside the guest it stays blocked, so it is never
/// lost between two entries.
///
/// # Errors
/// [`KvmError::Ioctl`] if the kernel refuses.
pub fn admit_sigterm(vcpu: &VcpuFd) -> Result<(), KvmError> {
    let mask = SignalMask { size_bytes: KERNEL_SIGSET_BYTES, blocked: !(1 << (libc::SIGTERM - 1)) };
    // SAFETY: the ioctl reads 12 bytes at the pointer, which is what the structure holds.
    let result = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_SIGNAL_MASK, &raw const mask) };
    if result == 0 { Ok(()) } else { Err(last_error("KVM_SET_SIGNAL_MASK")) }
}

/// Sets the guest's TSC offset to 0: it reads what the host reads (Documentation/virt/kvm/devices/vcpu.rst, section 4.1).
///
/// # Errors
/// [`KvmError::Ioctl`] if the kernel refuses; before Linux 5.16 it does.
pub(super) fn clear_tsc_offset(vcpu: &VcpuFd) -> Result<(), KvmError> {
    let offset = 0_u64;
    let attribute = kvm_device_attr {
        group: KVM_VCPU_TSC_CTRL,
        attr: u64::from(KVM_VCPU_TSC_OFFSET),
        addr: std::ptr::from_ref(&offset).addr() as u64,
        flags: 0,
    };
    // SAFETY: the ioctl reads the attribute structure and the 8 bytes that it points to; both live until it returns.
    let result = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_DEVICE_ATTR, &raw const attribute) };
    if result == 0 { Ok(()) } else { Err(last_error("KVM_SET_DEVICE_ATTR")) }
}

/// Makes the machine a Xen guest, as far as `config` says (Documentation/virt/kvm/api.rst, section 4.36).
///
/// # Errors
/// [`KvmError::Ioctl`] if the kernel refuses.
pub(super) fn set_xen_config(vm: &VmFd, config: &kvm_xen_hvm_config) -> Result<(), KvmError> {
    // SAFETY: the ioctl reads the structure, which lives until it returns. It follows no pointer in it: both blob sizes are 0 where
    // hypercalls are intercepted.
    let result = unsafe { libc::ioctl(vm.as_raw_fd(), KVM_XEN_HVM_CONFIG, std::ptr::from_ref(config)) };
    if result == 0 { Ok(()) } else { Err(last_error("KVM_XEN_HVM_CONFIG")) }
}

fn last_error(ioctl: &'static str) -> KvmError {
    KvmError::Ioctl { ioctl, errno: std::io::Error::last_os_error().raw_os_error().unwrap_or(0) }
}
