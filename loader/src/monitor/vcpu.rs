//! What the monitor asks of a backend.

use hvcall::{Gva, RawCall};

use super::memory::GuestMemory;

/// General registers at a trap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8 to R15.
    pub general: [u64; 16],
    /// RIP.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
}

impl Registers {
    /// Names of `general`, in order.
    pub const NAMES: [&'static str; 16] = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    /// Index of RBP in `general`.
    pub const RBP: usize = 6;
    /// Index of RSP in `general`.
    pub const RSP: usize = 7;
}

/// An exception of the guest. Evidence only: the guest could have written all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its vector. `None` for what is no exception but is reported as one: a trap that this host's kernel refuses by itself.
    pub vector: Option<u8>,
    /// Error code that the CPU pushed; means something for the vectors of [`crate::layout::stubs::has_error_code`].
    pub error_code: u64,
    /// CR2; means something for vector 14.
    pub fault_address: u64,
    /// Registers when it happened.
    pub registers: Registers,
}

/// Why the vCPU stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The trap instruction at this address, with the registers of a call. Where it lies decides what it means.
    Gate {
        /// Address of the instruction.
        site: Gva,
        /// The registers.
        call: RawCall,
    },
    /// The trap of a fault handler that serves every vector.
    Exception,
    /// A signal came. Nothing happened in the guest.
    Interrupted,
    /// An exit that only a guest that breaks out of its contract can cause: other I/O, MMIO, an instruction that the kernel
    /// could not emulate.
    Foreign {
        /// The backend's number for it (`KVM_EXIT_*`).
        reason: u32,
        /// Port, guest-physical address, or suberror.
        detail: u64,
    },
    /// Triple fault.
    Shutdown,
    /// The guest's process is dead.
    Killed,
}

/// The host cannot run the guest any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VcpuError {
    /// The kernel refused to enter the guest.
    #[error("the host does not run the guest any further: errno {errno}")]
    Run {
        /// Error number.
        errno: i32,
    },
    /// The CPU refused to enter the guest.
    #[error("the CPU refused to enter the guest: hardware reason {reason:#x}")]
    Entry {
        /// `hardware_entry_failure_reason`.
        reason: u64,
    },
}

/// A virtual CPU.
pub trait Vcpu {
    /// Runs the guest until it traps.
    ///
    /// # Errors
    /// [`VcpuError`] if the host fails.
    fn enter(&mut self) -> Result<Trap, VcpuError>;

    /// Sets RAX for the next entry.
    fn set_result(&mut self, result: i64);

    /// Registers at the last trap, or `None` if they are lost. The guest does not go on after this.
    fn registers(&mut self, memory: &GuestMemory) -> Option<Registers>;

    /// The exception whose stub or handler has trapped. `vector` is the stub's, 0 for a handler that serves all.
    fn exception(&self, memory: &GuestMemory, vector: u8) -> Exception;
}
