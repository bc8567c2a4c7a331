//! The last steps of a monitor process, which are also what tests that break out of one begin with.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use hvcall::ExitCode;

use crate::evidence::{self, Evidence};
use crate::monitor::disk::Disk;
use crate::monitor::nic::Nic;
use crate::monitor::run::Monitor;
use crate::monitor::vcpu::Vcpu;
use crate::sandbox::{self, Descriptors, DiskDescriptor, SandboxError};

/// Closes the calling process, which has called [`sandbox::drop_privileges`], and runs the guest to its end. `vcpu` is the vCPU's
/// descriptor with the ioctls that it takes; the end record goes to `report`, between what `evidence` has to show.
///
/// Nothing can be closed or freed afterwards: what is left to do is to end the process.
///
/// # Errors
/// [`SandboxError`] if the process cannot be closed. The guest has not run then.
pub fn run(
    monitor: &mut Monitor<impl Vcpu>,
    vcpu: (RawFd, [u64; 2]),
    mut evidence: Evidence<'_>,
    report: &OwnedFd,
) -> Result<ExitCode, SandboxError> {
    evidence::send(report, &evidence.opening(&monitor.dispatcher.memory));
    if sandbox::clock_takes_a_call() {
        monitor.dispatcher.clock.use_timer().map_err(sandbox::step("clock"))?;
    }
    sandbox::close(&descriptors(monitor, vcpu, report, evidence.core_fd()))?;
    let record = monitor.run();
    evidence::send(report, &record);
    evidence::send(report, &evidence.closing(monitor, &record));
    // Its buffers are not freed: that would be a system call.
    std::mem::forget(evidence);
    Ok(record.end().map_or(ExitCode::MONITOR_BUG, |end| end.exit_code()))
}

/// What a monitor uses.
#[must_use]
pub fn descriptors(
    monitor: &Monitor<impl Vcpu>,
    (vcpu, vcpu_ioctls): (RawFd, [u64; 2]),
    report: &OwnedFd,
    core: Option<RawFd>,
) -> Descriptors {
    let dispatcher = &monitor.dispatcher;
    Descriptors {
        vcpu,
        vcpu_ioctls,
        signals: dispatcher.signals.raw_fd(),
        report: report.as_raw_fd(),
        clock: dispatcher.clock.raw_fd(),
        console: dispatcher.console.raw_fd(),
        nics: dispatcher.nics.iter().map(Nic::raw_fd).collect(),
        disks: dispatcher.disks.iter().map(disk).collect(),
        core,
    }
}

fn disk(disk: &Disk) -> DiskDescriptor {
    let info = disk.info();
    DiskDescriptor {
        fd: disk.raw_fd(),
        size_bytes: info.sectors.saturating_mul(u64::from(info.sector_bytes)),
        read_only: info.is_read_only(),
    }
}
