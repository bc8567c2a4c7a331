//! Where a NIC's frames go on the host.

pub mod frames;
mod offload;
pub mod reach;
pub mod rules;
pub mod tap;
pub mod user;
