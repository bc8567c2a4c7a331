//! The Ringwall guest kernel.
//!
//! A library, linked into the appliance: what is not used is not in the image. Everything runs at CPL 3. There are no
//! interrupts and no preemption: an async executor runs the appliance's tasks, and when none is ready it makes one hypercall
//! that sends, waits and receives.
//!
//! ```text
//! appliance        async fn main(), tasks
//! net  block       sockets on smoltcp, disks                    console, log, panic
//! executor         tasks, timers, one `multicall` per turn      time, entropy, heap
//! hv               one safe function per hypercall
//! arch             entry, gate, memory routines: the only assembly
//! ```
//!
//! An appliance is a `#![no_std] #![no_main]` program with an async main function and one [`appliance!`]:
//!
//! ```ignore
//! guest::appliance! { main: main }
//!
//! async fn main() {
//!     guest::println!("Hello!");
//! }
//! ```
//!
//! With `--cfg ringwall_image`, which `ringwall build` sets, the crate is the kernel of an image. Without, it is an ordinary
//! library whose tests run on the host, each thread with a monitor of its own.
//!
//! Reading order: [`appliance!`], `start`, [`executor`], [`hv`]; then whichever device is of interest.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod appliance;
pub mod arch;
pub mod block;
pub mod boot;
pub mod console;
pub mod entropy;
pub mod executor;
#[doc(hidden)]
pub mod heap;
pub mod hv;
mod logger;
pub mod net;
pub mod panic;
mod start;
#[cfg(test)]
mod testing;
pub mod time;

#[doc(hidden)]
pub use appliance::private as __private;
pub use boot::args;
#[doc(hidden)]
pub use hvcall;
pub use log;
pub use start::{Termination, exit};

/// A kibibyte.
pub const KIB: u64 = 1024;
/// A mebibyte.
pub const MIB: u64 = 1024 * KIB;
/// A gibibyte.
pub const GIB: u64 = 1024 * MIB;
