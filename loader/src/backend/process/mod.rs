//! A guest as a process that owns one `syscall` instruction and nothing else: for hosts without KVM.
//!
//! The process has the guest's regions mapped, text and constants from the sealed memfd, the rest from a memfd that the monitor
//! has mapped too. It has no loader page, no C library, no vDSO, no stack but the guest's, and no descriptor. Its seccomp filter
//! turns the `syscall` in the gate page into a notification to the monitor, which answers it like any trap, and every other
//! into a signal; what seccomp does not see (system-call numbers that Linux keeps for itself) syscall user dispatch does.
//!
//! ```text
//! init    what the process does with itself first: a table of system calls in pages that vanish with the last of them
//! spawn   making the process, and taking over its listener       filter   which system calls it may make
//! admit   the last step before the guest's first instruction       rseq     leaving the C library's rseq area
//! vcpu    receive a notification, answer it
//! ```
//!
//! A fault is a signal, and so is a system call from elsewhere. The handler, in the gate page, makes the trap that is no call; the kernel has put registers, error code
//! and address on the fault stack before. The process dies with the monitor (PR_SET_PDEATHSIG).

mod admit;
mod error;
mod filter;
mod init;
mod rseq;
mod spawn;
mod vcpu;

pub use error::ProcessError;
pub use spawn::{Launch, Reservation, fault_stack_bytes};
pub use vcpu::{IOCTLS, ProcessVcpu};
