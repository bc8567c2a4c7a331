//! Giving up what a process has: descriptors, capabilities, resources, being looked into.
#![expect(unsafe_code, reason = "closing descriptors by number and ignoring signals have no safe form")]

use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::{STDERR, SandboxError, step};

/// Closes every descriptor but those to keep and standard error.
pub(crate) fn close_others(keep: &[RawFd]) -> Result<(), SandboxError> {
    let mut kept: Vec<u32> = keep.iter().copied().chain([STDERR]).map(RawFd::cast_unsigned).collect();
    kept.sort_unstable();
    let mut next: u32 = 0;
    for fd in kept {
        if fd > next {
            close_range(next, fd - 1).map_err(step("closing descriptors"))?;
        }
        next = next.max(fd + 1);
    }
    close_range(next, u32::MAX).map_err(step("closing descriptors"))
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the owners of these descriptors are never dropped: the process ends by `_exit`, and its caller lists all that it uses.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Signals from a terminal or a supervisor are for the launcher: this process ends when the guest's end of the link closes.
pub(crate) fn ignore_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler, so no code of ours can run at a bad moment.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Gives up capabilities, privileges to come, dumps, and being looked into by others of the same user.
pub(crate) fn drop_all() -> Result<(), SandboxError> {
    rustix::thread::set_no_new_privs(true).map_err(step("no new privileges"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("not dumpable"))?;
    limit(Resource::Core, 0)?;
    drop_capabilities()
}

/// Gives up capabilities that are in use, and those that root would get back by executing a program (`capabilities(7)`, "The
/// securebits flags"). One call that is locked for ever says the latter; dropping some forty bounds one by one is no stronger where no
/// new privileges are given, and was a thirtieth of the time that a machine takes to start.
pub(crate) fn drop_capabilities() -> Result<(), SandboxError> {
    match rustix::thread::clear_ambient_capability_set() {
        // A kernel before 4.3 has no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(step("no ambient capabilities")(errno)),
    }
    match rustix::thread::set_capabilities_secure_bits(no_privileged_root()) {
        // Only who may pass capabilities on may lock this; others have no capability that a program could bring back.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(step("no capabilities to come")(errno)),
    }
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none).map_err(step("no capabilities"))
}

/// To be root means nothing, and stays so.
fn no_privileged_root() -> CapabilitiesSecureBits {
    CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED
}

/// Limits what a process that has everything it needs may still take: nothing. `descriptors` is one more than its highest.
///
/// There is no limit for files (RLIMIT_FSIZE): it would be a signal in the middle of a guest's write to its own disk.
pub(crate) fn limit_resources(descriptors: RawFd) -> Result<(), SandboxError> {
    limit(Resource::Nofile, u64::from(descriptors.cast_unsigned()))?;
    limit(Resource::Data, 0)?;
    limit_threads()
}

/// Allows no process and no thread more, and no memory that the system cannot swap out.
pub(crate) fn limit_threads() -> Result<(), SandboxError> {
    limit(Resource::Nproc, 0)?;
    limit(Resource::Memlock, 0)
}

fn limit(resource: Resource, value: u64) -> Result<(), SandboxError> {
    let limit = Rlimit { current: Some(value), maximum: Some(value) };
    rustix::process::setrlimit(resource, limit).map_err(step("resource limits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capabilities and their bits belong to a thread, so one that ends takes the changes with it.
    #[test]
    fn root_keeps_no_capability_and_gets_none_back() {
        let (root, sets, bits) = std::thread::spawn(|| {
            let root = rustix::process::geteuid().is_root();
            drop_capabilities().unwrap();
            (
                root,
                rustix::thread::capabilities(None).unwrap(),
                rustix::thread::capabilities_secure_bits().unwrap(),
            )
        })
        .join()
        .unwrap();
        assert!(
            sets.effective.is_empty() && sets.permitted.is_empty() && sets.inheritable.is_empty(),
            "{sets:?}"
        );
        assert_eq!(root, bits == no_privileged_root(), "{bits:?}");
    }
}
