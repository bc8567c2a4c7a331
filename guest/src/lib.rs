//! The Ringwall guest kernel.
//!
//! A library, linked into the appliance: what is not used is not in the image. Everything runs at CPL 3. There are no
//! interrupts and no preemption: an async executor runs the appliance's tasks, and when none is ready it makes one hypercall
//! that sends, waits and receives.
//!
//! ```text
//! appliance        async fn main(), tasks
//! net  block       sockets on smoltcp, disks                    log, time, entropy, heap
//! executor         tasks, timers, one `multicall` per turn
//! hv               one safe function per hypercall
//! arch             entry, gate, memory routines: the only assembly
//! ```
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod arch;
pub mod boot;
pub mod hv;
pub mod time;
