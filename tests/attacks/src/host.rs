//! Kinds of host: what a case may expect depends on nothing else.

use std::fmt;

use clap::ValueEnum;
use tests::Backend;

/// A kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Host {
    /// This machine's KVM, as on kvm-pvm.
    Pvm,
    /// A sandboxed process.
    Process,
    /// Stock kvm-amd, in the lab.
    Amd,
    /// Stock kvm-intel, in the lab.
    Intel,
}

impl Host {
    /// What runs the guest.
    pub(crate) const fn backend(self) -> Backend {
        match self {
            Self::Process => Backend::Process,
            Self::Pvm | Self::Amd | Self::Intel => Backend::Kvm,
        }
    }

    /// Whether an attack is also run by the whole program, with its sandbox: not in a lab, where that takes a second.
    pub(crate) const fn runs_program(self) -> bool {
        !self.is_lab()
    }

    /// Whether it is emulated.
    pub(crate) const fn is_lab(self) -> bool {
        matches!(self, Self::Amd | Self::Intel)
    }

    /// Of so many parameters of a sweep one is tried: a fault takes 60 us on kvm-pvm, 2 ms as a new process, and in a lab as long as
    /// the emulator wants.
    pub(crate) const fn stride(self) -> usize {
        match self {
            Self::Pvm => 1,
            Self::Process => 509,
            Self::Amd => 31,
            Self::Intel => 257,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pvm => "pvm",
            Self::Process => "process",
            Self::Amd => "amd",
            Self::Intel => "intel",
        })
    }
}
