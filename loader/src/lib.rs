//! Ringwall's loader: builds appliances, inspects hosts, and runs sealed images in a machine without ring 0.
//!
//! ```text
//! cli                what a person types                       parent     forks, supervises, explains
//! image              a hostile file, checked                   layout     from image and numbers to bytes
//! memory             host memory, sealed and not               backend    KVM
//! machine            all of that put together                  monitor    the trusted part: runs the guest
//! sandbox            what the monitor gives up                 net        taps, the userspace network
//! signature          whose image it is
//! build              a crate folder to an image                audit      an image's properties, with evidence
//! ```
//!
//! The monitor is the only code that is trusted once a guest runs: `monitor`, `backend` and what they call. Everything else is
//! done before, or in another process.

pub mod address;
pub mod audit;
pub mod backend;
pub mod build;
pub mod device_spec;
pub mod doctor;
pub mod evidence;
pub mod exit;
pub mod fuzz;
pub mod image;
pub mod layout;
pub mod machine;
pub mod memory;
pub mod monitor;
pub mod net;
pub mod new;
pub mod parent;
pub mod sandbox;
pub mod say;
pub mod signature;
pub mod symbols;
