//! The system calls of a running monitor: six, and four more for disks, with their descriptors pinned.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{Descriptors, SandboxError};

const STDERR: RawFd = 2;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The calls that a monitor with these descriptors may make, by number and name.
#[must_use]
pub fn allowed_calls(disks: bool) -> Vec<(i64, &'static str)> {
    let mut calls = vec![
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_readv, "readv"),
        (libc::SYS_writev, "writev"),
        (libc::SYS_ppoll, "ppoll"),
        (libc::SYS_getrandom, "getrandom"),
        (libc::SYS_exit_group, "exit_group"),
    ];
    if disks {
        calls.extend([
            (libc::SYS_pread64, "pread64"),
            (libc::SYS_pwrite64, "pwrite64"),
            (libc::SYS_fdatasync, "fdatasync"),
            (libc::SYS_fallocate, "fallocate"),
        ]);
    }
    calls
}

/// Installs the filter. Every call outside it kills the process.
pub(super) fn install(keep: &Descriptors) -> Result<(), SandboxError> {
    Ok(seccompiler::apply_filter(&program(keep)?)?)
}

fn program(keep: &Descriptors) -> Result<BpfProgram, BackendError> {
    let mut rules = Rules::new();
    for request in keep.vcpu_ioctls {
        let pinned = vec![descriptor(keep.vcpu)?, equal(1, SeccompCmpArgLen::Qword, request)?];
        rules.entry(libc::SYS_ioctl).or_default().push(SeccompRule::new(pinned)?);
    }
    allow_on(&mut rules, libc::SYS_readv, keep.nics.iter().copied().chain([keep.signals]))?;
    let written = [keep.console, keep.report, STDERR];
    allow_on(&mut rules, libc::SYS_writev, keep.nics.iter().copied().chain(written).chain(keep.core))?;
    // An empty list allows the call with any arguments. ppoll and getrandom name only the monitor's own memory.
    for call in [libc::SYS_ppoll, libc::SYS_getrandom, libc::SYS_exit_group] {
        rules.insert(call, Vec::new());
    }
    if !keep.disks.is_empty() {
        for call in [libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_fdatasync, libc::SYS_fallocate] {
            allow_on(&mut rules, call, keep.disks.iter().copied())?;
        }
    }
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, TargetArch::x86_64)?
        .try_into()
}

fn allow_on(
    rules: &mut Rules,
    call: i64,
    descriptors: impl Iterator<Item = RawFd>,
) -> Result<(), BackendError> {
    for fd in descriptors {
        rules.entry(call).or_default().push(SeccompRule::new(vec![descriptor(fd)?])?);
    }
    Ok(())
}

fn descriptor(fd: RawFd) -> Result<SeccompCondition, BackendError> {
    equal(0, SeccompCmpArgLen::Dword, u64::from(fd.cast_unsigned()))
}

fn equal(argument: u8, len: SeccompCmpArgLen, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, len, SeccompCmpOp::Eq, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_makes_six_calls_and_ten_with_disks() {
        assert_eq!(allowed_calls(false).len(), 6);
        assert_eq!(allowed_calls(true).len(), 10);
    }
}
