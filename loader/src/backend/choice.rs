//! Which backend runs a guest.

use std::fmt;
use std::str::FromStr;

use super::kvm::{self, GateChoice};
use crate::layout::Gate;

/// A backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A virtual machine.
    Kvm,
    /// A process.
    Process,
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kvm => "kvm",
            Self::Process => "process",
        })
    }
}

/// The backend that a user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// KVM where it can be used, otherwise a process.
    #[default]
    Auto,
    /// This one or none.
    Only(Backend),
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Only(Backend::Kvm)),
            "process" => Ok(Self::Only(Backend::Process)),
            _ => Err(format!("`{text}` is no backend: auto, kvm or process")),
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Only(backend) => backend.fmt(formatter),
        }
    }
}

/// A backend and a gate that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--backend {backend} has no gate `{gate}`")]
pub struct Mismatch {
    backend: Backend,
    gate: &'static str,
}

/// The backend to use on this host, and why it is not KVM if nobody has asked for that.
///
/// # Errors
/// [`Mismatch`] if backend and gate are both asked for and do not go together.
pub fn choose(choice: BackendChoice, gate: GateChoice) -> Result<(Backend, Option<String>), Mismatch> {
    let of_gate = match gate {
        GateChoice::Auto => None,
        GateChoice::Only(gate) => Some(if gate.process { Backend::Process } else { Backend::Kvm }),
    };
    match (choice, of_gate) {
        (BackendChoice::Only(backend), Some(other)) if backend != other => {
            let GateChoice::Only(Gate { name: gate, .. }) = gate else { return Ok((backend, None)) };
            Err(Mismatch { backend, gate })
        }
        (BackendChoice::Only(backend), _) | (BackendChoice::Auto, Some(backend)) => Ok((backend, None)),
        (BackendChoice::Auto, None) => Ok(match kvm::open() {
            Ok(_) => (Backend::Kvm, None),
            Err(error) => (Backend::Process, Some(error.to_string())),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_decides_and_never_against_a_backend() {
        let process = GateChoice::Only(Gate::SYSCALL);
        assert_eq!(choose(BackendChoice::Auto, process), Ok((Backend::Process, None)));
        assert_eq!(choose(BackendChoice::Auto, GateChoice::Only(Gate::PORT)), Ok((Backend::Kvm, None)));
        let refused = choose(BackendChoice::Only(Backend::Kvm), process).unwrap_err();
        assert_eq!(refused.to_string(), "--backend kvm has no gate `syscall`");
        assert!(choose(BackendChoice::Only(Backend::Process), GateChoice::Only(Gate::VMCALL)).is_err());
    }
}
