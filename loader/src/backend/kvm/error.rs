//! Why KVM does not run the machine.

use hvcall::ExitCode;

/// Why KVM does not run the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvmError {
    /// `/dev/kvm` cannot be opened.
    #[error("cannot open /dev/kvm: {} ({})", std::io::Error::from_raw_os_error(*errno), open_hint(*errno))]
    Open {
        /// Error number.
        errno: i32,
    },
    /// KVM speaks another API version.
    #[error("KVM speaks API version {found}, this loader speaks {}", kvm_bindings::KVM_API_VERSION)]
    Version {
        /// Its version.
        found: i32,
    },
    /// KVM lacks a capability.
    #[error("this KVM lacks {name}, which a machine without ring 0 needs (see `ringwall doctor`)")]
    Capability {
        /// The capability.
        name: &'static str,
    },
    /// The gate that was asked for does not reach the monitor on this host.
    #[error("--gate {wanted}: this KVM passes no `{wanted}` on to the monitor; it offers `{offered}`")]
    Gate {
        /// Name of the gate asked for.
        wanted: &'static str,
        /// Name of the gate that `auto` takes.
        offered: &'static str,
    },
    /// A memory slot is refused.
    #[error(
        "this host cannot give a machine {size_bytes} bytes of memory: {} (try less, --mem)",
        std::io::Error::from_raw_os_error(*errno)
    )]
    Memory {
        /// Length of the slot.
        size_bytes: u64,
        /// Error number.
        errno: i32,
    },
    /// An ioctl failed.
    #[error("{ioctl} failed: {}", std::io::Error::from_raw_os_error(*errno))]
    Ioctl {
        /// Its name.
        ioctl: &'static str,
        /// Error number.
        errno: i32,
    },
}

fn open_hint(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => {
            "this host has no KVM: load kvm-intel or kvm-amd, or enable nested virtualisation"
        }
        libc::EACCES | libc::EPERM => "you may not use it: `sudo usermod -aG kvm $USER` and log in again",
        _ => "see `ringwall doctor`",
    }
}

impl KvmError {
    pub(crate) fn ioctl(ioctl: &'static str, error: kvm_ioctls::Error) -> Self {
        Self::Ioctl { ioctl, errno: error.errno() }
    }

    /// Exit code of `ringwall run` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Open { .. } | Self::Version { .. } | Self::Capability { .. } | Self::Gate { .. } => {
                ExitCode::UNAVAILABLE
            }
            Self::Memory { .. } | Self::Ioctl { .. } => ExitCode::HOST_ERROR,
        }
    }
}
