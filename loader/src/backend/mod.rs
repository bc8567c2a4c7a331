//! What runs a guest, as the monitor's [`crate::monitor::vcpu::Vcpu`].

pub mod choice;
pub mod kvm;
pub mod process;
