//! Giving up what a process has: descriptors, capabilities, files, network, dumps.
#![expect(unsafe_code, reason = "closes descriptors by number")]

use std::io;
use std::os::fd::RawFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::CapabilitySets;

use super::{Descriptors, SandboxError};

fn step(step: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |source| SandboxError::Step { step, source }
}

/// Closes every descriptor but those to keep and standard error.
pub(super) fn close_others(keep: &Descriptors) -> Result<(), SandboxError> {
    let mut kept: Vec<RawFd> = [keep.vcpu, keep.signals, keep.report, keep.console, 2]
        .into_iter()
        .chain(keep.nics.iter().copied())
        .chain(keep.disks.iter().copied())
        .chain(keep.core)
        .collect();
    kept.sort_unstable();
    let mut next: u32 = 0;
    for fd in kept {
        let fd = fd.cast_unsigned();
        if fd > next {
            close_range(next, fd - 1).map_err(step("closing descriptors"))?;
        }
        next = next.max(fd + 1);
    }
    close_range(next, u32::MAX).map_err(step("closing descriptors"))
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the owners of these descriptors are never dropped: the process ends by `_exit` after its guest has ended.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives up capabilities, privileges to come, files, network, and being looked into.
pub(super) fn drop_all() -> Result<(), SandboxError> {
    rustix::thread::set_no_new_privs(true).map_err(io::Error::from).map_err(step("no new privileges"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(io::Error::from)
        .map_err(step("not dumpable"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(io::Error::from)
        .map_err(step("no core dumps"))?;
    restrict_files_and_network()?;
    let none = CapabilitySets {
        effective: rustix::thread::CapabilitySet::empty(),
        permitted: rustix::thread::CapabilitySet::empty(),
        inheritable: rustix::thread::CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(io::Error::from).map_err(step("no capabilities"))
}

/// Landlock with no rule: no path, no TCP port, no signal and no abstract socket outside. Kernels that know fewer of these give
/// what they have; `ringwall doctor` says which.
fn restrict_files_and_network() -> Result<(), SandboxError> {
    let newest = ABI::V6;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(newest)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(newest)))
        .and_then(|ruleset| ruleset.create())
        .and_then(landlock::RulesetCreated::restrict_self);
    let restricted = restricted.map_err(|error| step("Landlock")(io::Error::other(error)))?;
    if restricted.ruleset == RulesetStatus::NotEnforced {
        crate::say!(
            "ringwall: this kernel has no Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK); the monitor is closed by its \
             system-call filter alone"
        );
    }
    Ok(())
}
