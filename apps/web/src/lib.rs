//! A static web site as an appliance.
//!
//! The build script turns a directory, or the project's own documentation, into a table of paths and bodies that becomes part
//! of the image ([`site`]). This library answers HTTP/1.1 from that table over any [`embedded_io_async`] stream; the binary
//! beside it gives it the guest kernel's streams, time and shut-down ([`Host`]).
//!
//! ```text
//! connection     bytes in, bytes out, time limits
//! head           a request head: where it ends, what follows it
//! choose         which reply: target, negotiate, conditional, range
//! reply          the reply's head as bytes
//! ```
//! Whatever a client sends, the server neither panics nor holds more than one head, two small buffers and the stream for it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod buffer;
mod choose;
mod conditional;
mod connection;
mod date;
mod head;
mod host;
mod negotiate;
mod range;
mod reply;
mod server;
pub mod site;
mod status;
mod target;
#[cfg(test)]
mod tests;

pub use head::{MAX_DISCARD_BYTES, MAX_FIELDS, MAX_HEAD_BYTES};
pub use host::Host;
pub use negotiate::Coding;
pub use server::{Admission, Limits, Server};
pub use site::Site;
pub use target::MAX_PATH_BYTES;

include!(concat!(env!("OUT_DIR"), "/site.rs"));
