//! Why a guest's process cannot be made.

use std::io;

use hvcall::ExitCode;

/// Why a guest's process cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A step in this process failed.
    #[error("cannot make the guest's process ({step}): {source}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// The filter was refused.
    #[error("the kernel refuses the filter of the guest's process: {source}: {advice}")]
    Filter {
        /// What the host said.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A step of the new process failed.
    #[error("the guest's process could not set itself up: {step} failed")]
    Init {
        /// The system call.
        step: &'static str,
    },
    /// The new process did something else than expected: on a CPU without XSAVE it faults.
    #[error("the guest's process did not come up (see `ringwall doctor`)")]
    Lost,
}

impl ProcessError {
    pub(super) fn filter(errno: i32) -> Self {
        let advice = match errno {
            libc::EBUSY => {
                "a sandbox around this one intercepts system calls already, and there can be only one such"
            }
            libc::EINVAL => "use Linux 5.19 or newer, with CONFIG_SECCOMP_FILTER",
            _ => "a sandbox around this one may forbid seccomp",
        };
        Self::Filter { source: io::Error::from_raw_os_error(errno), advice }
    }

    /// Exit code of `ringwall run` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Filter { .. } => ExitCode::UNAVAILABLE,
            Self::Step { .. } | Self::Init { .. } | Self::Lost => ExitCode::HOST_ERROR,
        }
    }
}
