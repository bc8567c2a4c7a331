//! Closing the monitor: after this it can run its guest and use its open devices, and nothing else.

mod filter;
mod privileges;

use std::os::fd::RawFd;

pub use filter::allowed_calls;

/// The descriptors that a running monitor keeps.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    /// The vCPU, or the listener of the guest's process.
    pub vcpu: RawFd,
    /// The ioctls that it takes.
    pub vcpu_ioctls: [u64; 2],
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
    /// Where a core goes.
    pub core: Option<RawFd>,
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

/// Gives up capabilities, privileges to come, files, network, dumps and signals to others. It must be single-threaded and have
/// opened everything it needs. A process that it makes afterwards has as little.
///
/// # Errors
/// [`SandboxError`] naming the step that failed. The process must not run a guest then.
pub fn drop_privileges() -> Result<(), SandboxError> {
    privileges::drop_all()
}

/// Closes the calling process for good, after [`drop_privileges`].
///
/// # Errors
/// [`SandboxError`] naming the step that failed. The process must not run a guest then.
pub fn close(keep: &Descriptors) -> Result<(), SandboxError> {
    privileges::close_others(keep)?;
    filter::install(keep)
}
