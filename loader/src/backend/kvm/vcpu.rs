//! The vCPU: enter, decode the exit, set the result.
#![expect(unsafe_code, reason = "the exit's description is a C union")]

use hvcall::{RawCall, Wire as _};
use kvm_bindings::{KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_XEN, KVM_EXIT_XEN_HCALL, kvm_regs};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};

use crate::layout::Gate;
use crate::monitor::memory::GuestMemory;
use crate::monitor::vcpu::{Exception, Registers, Trap, Vcpu, VcpuError};

/// A vCPU of a KVM machine.
#[derive(Debug)]
pub struct KvmVcpu {
    pub(super) fd: VcpuFd,
    pub(super) gate: Gate,
}

impl KvmVcpu {
    /// The registers of a trap by the gate's instruction.
    fn call(&self) -> Trap {
        let registers = &self.fd.sync_regs().regs;
        Trap::Gate { site: self.gate.site(registers.rip), call: raw_call(registers) }
    }

    /// The exit KVM_EXIT_XEN: a call, if it is a hypercall of 64-bit CPL 3 and this machine's gate makes them.
    fn hypercall(&mut self) -> Trap {
        let exit = self.fd.get_kvm_run().__bindgen_anon_1;
        // SAFETY: the exit reason says that this member was written (Documentation/virt/kvm/api.rst, section 5), and every bit pattern
        // is a value of it.
        let xen = unsafe { exit.xen };
        // SAFETY: the union has one member, of integers.
        let hypercall = unsafe { xen.u.hcall };
        let expected = xen.type_ == KVM_EXIT_XEN_HCALL && hypercall.cpl == 3 && hypercall.longmode == 1;
        if expected && self.gate.port.is_none() {
            self.call()
        } else {
            Trap::Foreign { reason: KVM_EXIT_XEN, detail: u64::from(xen.type_) }
        }
    }
}

impl Vcpu for KvmVcpu {
    fn enter(&mut self) -> Result<Trap, VcpuError> {
        let foreign = |reason, detail| Ok(Trap::Foreign { reason, detail });
        match self.fd.run() {
            // One byte, once, outwards: the gate's instruction and nothing wider or repeated.
            Ok(VcpuExit::IoOut(port, [_])) if self.gate.port.map(u16::from) == Some(port) => Ok(self.call()),
            Ok(VcpuExit::IoOut(port, _)) => foreign(KVM_EXIT_IO, u64::from(port)),
            Ok(VcpuExit::IoIn(port, _)) => foreign(KVM_EXIT_IO, u64::from(port)),
            Ok(VcpuExit::MmioRead(address, _)) => foreign(KVM_EXIT_MMIO, address),
            Ok(VcpuExit::MmioWrite(address, _)) => foreign(KVM_EXIT_MMIO, address),
            Ok(VcpuExit::Shutdown) => Ok(Trap::Shutdown),
            Ok(VcpuExit::Intr) => Ok(Trap::Interrupted),
            // The kvm-ioctls crate does not know it.
            Ok(VcpuExit::Unsupported(KVM_EXIT_XEN)) => Ok(self.hypercall()),
            Ok(VcpuExit::FailEntry(reason, _)) => Err(VcpuError::Entry { reason }),
            // A foreign enum that grows: every exit not listed above is the guest's end.
            Ok(_) => foreign(self.fd.get_kvm_run().exit_reason, 0),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => Ok(Trap::Interrupted),
            Err(error) => Err(VcpuError::Run { errno: error.errno() }),
        }
    }

    fn set_result(&mut self, result: i64) {
        let result = result.cast_unsigned();
        if self.gate.port.is_none() {
            // The next entry moves it to RAX and RIP past the instruction.
            self.fd.get_kvm_run().__bindgen_anon_1.xen.u.hcall.result = result;
        } else {
            self.fd.sync_regs_mut().regs.rax = result;
            self.fd.set_sync_dirty_reg(SyncReg::Register);
        }
    }

    fn registers(&mut self, _memory: &GuestMemory) -> Option<Registers> {
        let registers = general(&self.fd.sync_regs().regs);
        // On a triple fault KVM on SVM puts the CPU into its state after INIT first, which begins at F000:FFF0 (SDM Vol. 3A, "Processor
        // States Following Power-up, Reset, or INIT").
        let initial =
            registers.rip == 0xfff0 && self.fd.get_sregs().is_ok_and(|special| special.cs.selector == 0xf000);
        (!initial).then_some(registers)
    }

    fn exception(&self, memory: &GuestMemory, vector: u8) -> Exception {
        // Top of the stack downwards: SS, RSP, RFLAGS, CS, RIP, and for some vectors an error code (SDM Vol. 3A, figure 6-9). The
        // stack's end is 16-byte aligned, so the CPU pushes nothing before.
        let [error_code, rip, _cs, rflags, rsp, _ss] =
            <[u64; 6]>::read(&memory.fault_frame::<48>(vector == 8));
        let mut registers = Registers { rip, rflags, ..general(&self.fd.sync_regs().regs) };
        registers.general[Registers::RSP] = rsp;
        let fault_address =
            if vector == 14 { self.fd.get_sregs().map_or(0, |special| special.cr2) } else { 0 };
        Exception { vector: Some(vector), error_code, fault_address, registers }
    }
}

fn general(regs: &kvm_regs) -> Registers {
    Registers {
        general: [
            regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp, regs.rsp, regs.r8, regs.r9,
            regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
        ],
        rip: regs.rip,
        rflags: regs.rflags,
    }
}

fn raw_call(registers: &kvm_regs) -> RawCall {
    RawCall {
        nr: registers.rax,
        arguments: [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9],
    }
}
