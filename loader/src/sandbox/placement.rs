//! Where a monitor and its guest may run, and beside whom.

use rustix::io::Errno;
use rustix::thread::{
    CoreSchedulingScope, CpuSet, core_scheduling_cookie, create_core_scheduling_cookie, sched_getaffinity,
    sched_setaffinity,
};

use super::{SandboxError, step};

/// Options about processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// While the guest or its monitor runs, the other hardware threads of its core run nobody else.
    pub core_scheduling: bool,
    /// The one processor to run on.
    pub cpu: Option<usize>,
}

/// Whether this process may run on a processor.
#[must_use]
pub fn may_run_on(cpu: usize) -> bool {
    cpu < CpuSet::MAX_CPU && sched_getaffinity(None).is_ok_and(|set| set.is_set(cpu))
}

/// Whether this kernel can keep others off a core. One without such cores need not.
pub(super) fn has_core_scheduling() -> bool {
    let this = rustix::process::getpid();
    !matches!(core_scheduling_cookie(this, CoreSchedulingScope::Thread), Err(Errno::INVAL))
}

/// Places the calling process, and those that it makes afterwards.
///
/// # Errors
/// [`SandboxError::Step`] if there is no such processor, or this process may not use it.
pub fn place(placement: &Placement) -> Result<(), SandboxError> {
    if let Some(cpu) = placement.cpu {
        let mut set = CpuSet::new();
        if cpu < CpuSet::MAX_CPU {
            set.set(cpu);
        }
        sched_setaffinity(None, &set).map_err(step("pinning to a processor"))?;
    }
    if placement.core_scheduling {
        let this = rustix::process::getpid();
        match create_core_scheduling_cookie(this, CoreSchedulingScope::ThreadGroup) {
            // ENODEV: no core has several threads. EINVAL: this kernel cannot, which has been said.
            Ok(()) | Err(Errno::NODEV | Errno::INVAL) => {}
            Err(errno) => return Err(step("core scheduling")(errno)),
        }
    }
    Ok(())
}
