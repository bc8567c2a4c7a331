//! The vCPU before its first entry: created, given its state, looked into.

use hvcall::Gva;
use kvm_bindings::{kvm_sregs, kvm_xcr, kvm_xcrs};
use kvm_ioctls::{SyncReg, VcpuFd, VmFd};

use super::{KvmError, KvmVcpu, cpuid, ioctls, state};
use crate::address::Gpa;
use crate::layout::{Gate, Plan};

impl KvmVcpu {
    /// Creates the machine's vCPU.
    ///
    /// # Errors
    /// [`KvmError::Ioctl`] if the kernel refuses.
    pub fn new(vm: &VmFd, gate: Gate) -> Result<Self, KvmError> {
        let mut fd = vm.create_vcpu(0).map_err(|error| KvmError::ioctl("KVM_CREATE_VCPU", error))?;
        fd.set_sync_valid_reg(SyncReg::Register);
        Ok(Self { fd, gate })
    }

    /// Puts the vCPU into its state at entry.
    ///
    /// # Errors
    /// [`KvmError::Ioctl`] if the kernel refuses a step.
    pub fn set_state(&self, plan: &Plan, root: Gpa) -> Result<(), KvmError> {
        let features = cpuid::Features::of_host();
        let fd = &self.fd;
        fd.set_cpuid2(&cpuid::table()?).map_err(|error| KvmError::ioctl("KVM_SET_CPUID2", error))?;
        let reset = fd.get_sregs().map_err(|error| KvmError::ioctl("KVM_GET_SREGS", error))?;
        let set = |features| fd.set_sregs(&state::special_registers(&reset, plan, root, features));
        // A CPU without UMIP is no reason to go without: KVM on VMX has a substitute.
        let with_umip = set(cpuid::Features { umip: true, ..features });
        let set = if features.umip { with_umip } else { with_umip.or_else(|_| set(features)) };
        set.map_err(|error| KvmError::ioctl("KVM_SET_SREGS", error))?;
        if features.xsave {
            set_xcr0(fd, state::xcr0(features))?;
        }
        fd.set_regs(&state::general_registers(plan)).map_err(|error| KvmError::ioctl("KVM_SET_REGS", error))
    }

    /// Lets this kernel make the worker thread that the first KVM_RUN needs, without entering the guest. Later, this process may not
    /// have one more thread.
    ///
    /// # Errors
    /// [`KvmError::Ioctl`] if the kernel refuses.
    pub fn make_worker(&mut self) -> Result<(), KvmError> {
        self.fd.set_kvm_immediate_exit(1);
        let entered = self.fd.run().map(|_| ());
        self.fd.set_kvm_immediate_exit(0);
        match entered {
            Ok(()) => Ok(()),
            Err(error) if error.errno() == libc::EINTR => Ok(()),
            Err(error) => Err(KvmError::ioctl("KVM_RUN", error)),
        }
    }

    /// Makes the guest's TSC the host's and says how fast it runs, or `None` if this kernel cannot.
    #[must_use]
    pub fn align_tsc(&self) -> Option<u32> {
        ioctls::clear_tsc_offset(&self.fd).ok()?;
        self.fd.get_tsc_khz().ok().filter(|&khz| khz != 0)
    }

    /// The special registers in use.
    ///
    /// # Errors
    /// [`KvmError::Ioctl`] if the kernel does not give them.
    pub fn special_registers(&self) -> Result<kvm_sregs, KvmError> {
        self.fd.get_sregs().map_err(|error| KvmError::ioctl("KVM_GET_SREGS", error))
    }

    /// RIP in use.
    ///
    /// # Errors
    /// [`KvmError::Ioctl`] if the kernel does not give it.
    pub fn instruction_pointer(&self) -> Result<Gva, KvmError> {
        let registers = self.fd.get_regs().map_err(|error| KvmError::ioctl("KVM_GET_REGS", error))?;
        Ok(Gva(registers.rip))
    }

    /// The descriptor, for the sandbox and for what the kvm-ioctls crate does not wrap.
    #[must_use]
    pub const fn fd(&self) -> &VcpuFd {
        &self.fd
    }
}

fn set_xcr0(fd: &VcpuFd, value: u64) -> Result<(), KvmError> {
    let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..kvm_xcrs::default() };
    xcrs.xcrs[0] = kvm_xcr { xcr: 0, reserved: 0, value };
    fd.set_xcrs(&xcrs).map_err(|error| KvmError::ioctl("KVM_SET_XCRS", error))
}
