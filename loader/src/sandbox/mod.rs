//! Closing a monitor: after this it can run its guest and use its open devices, and nothing else.
//!
//! ```text
//! privileges   descriptors, capabilities, resources, dumps      landlock    files, network, signals
//! filter       a monitor's system calls                         rules       what filters are made of
//! placement    which processor, and beside whom                 host        what this kernel lacks of all that
//! listing      what a filter allows, read from its program
//! ```
//!
//! The network's helpers use the same walls, with filters of their own.

mod clock;
mod compile;
mod filter;
mod host;
pub(crate) mod landlock;
pub mod listing;
mod placement;
pub(crate) mod privileges;
pub(crate) mod rules;

use std::io;
use std::os::fd::RawFd;

pub use clock::takes_a_call as clock_takes_a_call;
pub use host::{can_kill_by_filter, lacking, landlock_abi};
pub use placement::{Placement, may_run_on, place};
use seccompiler::{BackendError, BpfProgram};

/// Descriptor of standard error, for a last word.
pub(crate) const STDERR: RawFd = 2;

/// The descriptors that a running monitor keeps, besides standard error.
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
    /// The timer that tells the time, where the host's clocks would take a system call of their own.
    pub clock: Option<RawFd>,
    /// NICs.
    pub nics: Vec<RawFd>,
    /// Disks.
    pub disks: Vec<DiskDescriptor>,
    /// Where a core goes.
    pub core: Option<RawFd>,
}

/// A disk's descriptor, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub struct DiskDescriptor {
    /// The file.
    pub fd: RawFd,
    /// The disk's size.
    pub size_bytes: u64,
    /// Whether it is never written.
    pub read_only: bool,
}

impl Descriptors {
    fn all(&self) -> Vec<RawFd> {
        let disks = self.disks.iter().map(|disk| disk.fd);
        let others = [self.vcpu, self.signals, self.report, self.console];
        others
            .into_iter()
            .chain(self.nics.iter().copied())
            .chain(disks)
            .chain(self.core)
            .chain(self.clock)
            .collect()
    }

    /// The filter that [`close`] installs for them.
    ///
    /// # Errors
    /// Those of the filter's compiler.
    pub fn filter(&self) -> Result<BpfProgram, BackendError> {
        filter::program(self)
    }
}

/// Why a process is not closed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A step failed.
    #[error("cannot close the process ({step}): {source}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// Landlock failed.
    #[error("cannot close the process (Landlock): {0}")]
    Landlock(#[from] ::landlock::RulesetError),
    /// The filter cannot be built.
    #[error("cannot build the system-call filter: {0}")]
    Filter(#[from] BackendError),
    /// The filter cannot be installed.
    #[error("cannot install the system-call filter: {0}")]
    Install(#[from] seccompiler::Error),
}

pub(crate) fn step<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> SandboxError {
    move |source| SandboxError::Step { step, source: source.into() }
}

/// Gives up capabilities, privileges to come, files, network, dumps and signals to others. The calling process must be
/// single-threaded and have opened everything it needs. A process that it makes afterwards has as little.
///
/// # Errors
/// [`SandboxError`] naming the step that failed. The process must not run a guest then.
pub fn drop_privileges() -> Result<(), SandboxError> {
    privileges::drop_all()?;
    Ok(landlock::close_all()?)
}

/// Closes the calling process for good, after [`drop_privileges`].
///
/// # Errors
/// [`SandboxError`] naming the step that failed. The process must not run a guest then.
pub fn close(keep: &Descriptors) -> Result<(), SandboxError> {
    let kept = keep.all();
    privileges::close_others(&kept)?;
    privileges::limit_resources(kept.into_iter().max().unwrap_or(0).max(STDERR) + 1)?;
    filter::install(keep)
}
