//! Closing the monitor: after this it can run its guest and use its open devices, and nothing else.

mod filter;
mod privileges;

use std::os::fd::RawFd;

pub use filter::allowed_calls;

/// The descriptors that a running monitor keeps.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    /// The vCPU.
    pub vcpu: RawFd,
    /// Shut-down requests.
    pub signals: RawFd,
    /// Where the end record goes.
    pub report: RawFd,
    /// The console.
    pub console: RawFd,
    /// NICs.
    pub nics: Vec<RawFd>,
    /// Disks.
    pub disks: Vec<RawFd>,
}

/// Why the monitor is not closed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A step failed.
    #[error("cannot close the monitor ({step}): {source}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// What the host said.
        source: std::io::Error,
    },
    /// The filter cannot be built or installed.
    #[error("cannot install the system-call filter: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The filter cannot be installed.
    #[error("cannot install the system-call filter: {0}")]
    Install(#[from] seccompiler::Error),
}

/// Closes the calling process for good. It must be single-threaded and have opened everything it needs.
///
/// # Errors
/// [`SandboxError`] naming the step that failed. The process must not run a guest then.
pub fn close(keep: &Descriptors) -> Result<(), SandboxError> {
    privileges::close_others(keep)?;
    privileges::drop_all()?;
    filter::install(keep)
}
