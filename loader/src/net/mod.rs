//! Where a NIC's frames go on the host.

pub mod frames;
pub mod reach;
pub mod rules;
pub mod tap;
pub mod user;
