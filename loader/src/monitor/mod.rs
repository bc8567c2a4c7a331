//! The monitor: the trusted part. It runs a vCPU, decodes what the guest asks, acts, answers.
//!
//! ```text
//! run        enter, take the trap, dispatch or report         vcpu     what a backend offers
//! dispatch   one call: decoded arguments to result             memory   guest addresses to proven ranges
//! console, nic, disk, clock, signals, wait                     the devices, on file descriptors
//! timer      a clock for hosts whose own takes a system call
//! transfer   system calls that move guest bytes                fault    evidence about how the guest ended
//! end        how a run ended, as the parent reads it
//! ```
//!
//! Rules: descriptors and arguments are copied once, the copy is checked, then acted on. No reference into guest memory is
//! ever formed. No guest action panics, allocates or loops without a bound known here.

pub mod clock;
pub mod console;
pub mod disk;
pub mod dispatch;
pub mod end;
pub mod fault;
pub mod memory;
pub mod nic;
pub mod run;
pub mod signals;
mod timer;
mod transfer;
pub mod vcpu;
pub mod wait;
