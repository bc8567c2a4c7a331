//! Backends: what runs a planned machine. KVM is the one of this version.

pub mod kvm;
