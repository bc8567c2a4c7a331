//! The system calls of a running monitor: six, and four more for disks, with their arguments pinned.

use hvcall::request::MAX_REQUEST_BYTES;
use hvcall::{MAX_ENTROPY_BYTES, MAX_NICS};
use seccompiler::{BackendError, BpfProgram};

use super::rules::{Rules, at_most, int, on, word};
use super::{Descriptors, SandboxError};

/// Parts of a vectored write: a header and a frame, or a line and its end.
const WRITE_PARTS: u64 = 2;
/// Parts of a vectored read: a header, a frame, and what did not fit.
const READ_PARTS: u64 = 3;

/// Installs the filter. Every call outside it kills the process.
pub(super) fn install(keep: &Descriptors) -> Result<(), SandboxError> {
    Ok(seccompiler::apply_filter(&program(keep)?)?)
}

/// The filter of a monitor with these descriptors.
pub(super) fn program(keep: &Descriptors) -> Result<BpfProgram, BackendError> {
    rules(keep).program()
}

fn rules(keep: &Descriptors) -> Rules {
    let mut rules = Rules::default();
    for request in keep.vcpu_ioctls {
        rules.pinned(libc::SYS_ioctl, &[on(keep.vcpu), word(1, request)]);
    }
    for fd in keep.nics.iter().copied().chain([keep.signals]).chain(keep.clock) {
        rules.pinned(libc::SYS_readv, &[on(fd), at_most(2, READ_PARTS)]);
    }
    let written = [keep.console, keep.report, super::STDERR];
    for fd in keep.nics.iter().copied().chain(written).chain(keep.core) {
        rules.pinned(libc::SYS_writev, &[on(fd), at_most(2, WRITE_PARTS)]);
    }
    // Descriptors to wait on lie in memory, where a filter cannot look: waiting tells whether they are ready and no more. No signal
    // mask, or a signal could be let through.
    rules.pinned(libc::SYS_ppoll, &[at_most(1, MAX_NICS as u64 + 1), word(3, 0)]);
    rules.pinned(libc::SYS_getrandom, &[at_most(1, MAX_ENTROPY_BYTES), int(2, 0)]);
    rules.any(libc::SYS_exit_group);
    for disk in &keep.disks {
        // A read or write begins on the disk; one that a taken-over monitor made would end at most a request behind it.
        let range = [on(disk.fd), at_most(2, MAX_REQUEST_BYTES), at_most(3, disk.size_bytes)];
        rules.pinned(libc::SYS_pread64, &range);
        rules.pinned(libc::SYS_fdatasync, &[on(disk.fd)]);
        if !disk.read_only {
            rules.pinned(libc::SYS_pwrite64, &range);
            let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            rules.pinned(libc::SYS_fallocate, &[on(disk.fd), int(1, punch)]);
        }
    }
    rules
}
