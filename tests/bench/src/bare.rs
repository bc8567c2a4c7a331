//! The floor: the least that a program must do to run a guest at CPL 3 under KVM.
//!
//! One memory slot, one vCPU, a guest of one `out` and one `jmp`, and an exit for each turn. No isolation, no devices, no
//! checks: what Ringwall costs is measured against this.
#![expect(unsafe_code, reason = "hands memory to a virtual machine")]

use std::ptr::NonNull;

use kvm_bindings::{kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use rustix::mm::{MapFlags, ProtFlags};

const MEMORY_BYTES: usize = 1 << 20;
const PAGE_TABLES: [usize; 4] = [0x1000, 0x2000, 0x3000, 0x4000];
const TSS: usize = 0x5000;
const CODE: usize = 0x1_0000;
const PORT: u8 = 0x10;

/// A machine that does nothing but exit.
#[derive(Debug)]
pub struct BareMachine {
    vcpu: VcpuFd,
    _vm: VmFd,
    memory: NonNull<u8>,
}

impl BareMachine {
    /// Creates it.
    ///
    /// # Errors
    /// What KVM says.
    pub fn new(kvm: &Kvm) -> Result<Self, kvm_ioctls::Error> {
        let vm = kvm.create_vm()?;
        let memory = memory()?;
        let slot = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: MEMORY_BYTES as u64,
            userspace_addr: memory.addr().get() as u64,
        };
        // SAFETY: the mapping is as long as the slot and outlives the machine: it is unmapped when the machine is dropped.
        unsafe { vm.set_user_memory_region(slot)? };
        let vcpu = vm.create_vcpu(0)?;
        set_state(&vcpu)?;
        Ok(Self { vcpu, _vm: vm, memory })
    }

    /// Runs to the next exit.
    ///
    /// # Errors
    /// What KVM says; `ENOEXEC` for an exit that is not the expected one.
    pub fn turn(&mut self) -> Result<(), kvm_ioctls::Error> {
        let exit = self.vcpu.run()?;
        let expected = matches!(exit, VcpuExit::IoOut(port, _) if port == u16::from(PORT));
        if expected { Ok(()) } else { Err(kvm_ioctls::Error::new(libc::ENOEXEC)) }
    }
}

impl Drop for BareMachine {
    fn drop(&mut self) {
        // SAFETY: mapped by `memory` with this size; the vCPU does not run any more.
        let unmapped = unsafe { rustix::mm::munmap(self.memory.as_ptr().cast(), MEMORY_BYTES) };
        debug_assert!(unmapped.is_ok());
    }
}

fn memory() -> Result<NonNull<u8>, kvm_ioctls::Error> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
    let mapped = unsafe {
        rustix::mm::mmap_anonymous(
            std::ptr::null_mut(),
            MEMORY_BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            flags,
        )
    };
    let mapped = mapped.map_err(|errno| kvm_ioctls::Error::new(errno.raw_os_error()))?;
    let memory = NonNull::new(mapped.cast::<u8>()).ok_or(kvm_ioctls::Error::new(libc::ENOMEM))?;
    // SAFETY: the mapping is zeroed, of this length, and nothing else refers to it yet.
    let bytes = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), MEMORY_BYTES) };
    fill(bytes);
    Ok(memory)
}

fn fill(bytes: &mut [u8]) {
    let mut entry = |at: usize, value: usize| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    // Present, writable, user; one path down to one table of 4 KiB pages.
    for level in PAGE_TABLES.windows(2) {
        entry(level[0], level[1] | 7);
    }
    for page in 0..MEMORY_BYTES / 4096 {
        entry(PAGE_TABLES[3] + page * 8, (page * 4096) | 0x67);
    }
    // I/O bitmap directly behind the fixed part of the TSS: all ports open.
    bytes[TSS + 102] = 104;
    bytes[TSS + 104 + 33] = 0xff;
    // out PORT, al; jmp -4
    bytes[CODE..CODE + 4].copy_from_slice(&[0xe6, PORT, 0xeb, 0xfc]);
}

fn set_state(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let mut special = vcpu.get_sregs()?;
    let flat = kvm_segment { limit: u32::MAX, present: 1, dpl: 3, s: 1, g: 1, ..kvm_segment::default() };
    let data = kvm_segment { selector: 0x2b, type_: 3, db: 1, ..flat };
    special.cs = kvm_segment { selector: 0x33, type_: 11, l: 1, ..flat };
    (special.ss, special.ds, special.es, special.fs, special.gs) = (data, data, data, data, data);
    special.tr = kvm_segment {
        base: TSS as u64,
        limit: 104 + 33,
        selector: 8,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    special.gdt.limit = 0;
    special.idt.limit = 0;
    special.cr3 = PAGE_TABLES[0] as u64;
    special.cr4 = 0x620;
    special.cr0 = 0x8001_0033;
    special.efer = 0xd00;
    vcpu.set_sregs(&special)?;
    let mut general = vcpu.get_regs()?;
    general.rip = CODE as u64;
    general.rflags = 0x202;
    vcpu.set_regs(&general)
}
