//! A TCP load balancer: what it decides and says. How bytes move is in the binary.
//!
//! ```text
//! config    settings, from the baked configuration and the boot arguments        (also part of the build script)
//! balance   which backend gets a connection       health   who may get any
//! proxy     the header that tells a backend who the client is
//! counters  what happened                         status   ... as a page
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod balance;
pub mod config;
pub mod counters;
pub mod health;
pub mod proxy;
pub mod status;
#[cfg(test)]
mod tests;

/// The configuration that was baked in: settings by name, in the file's order. The build script has checked it.
pub const BAKED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/baked.rs"));
