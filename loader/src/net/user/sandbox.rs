//! The helper's own walls: whatever a guest's packets do to it, it can talk to open sockets and little else.
//!
//! From here on the process has no descriptors but the ones it was given and standard error, no capabilities, no files
//! (Landlock), and a filter that kills it at the first system call that moving bytes does not need. It can make sockets
//! only if a rule lets the guest out, and then only TCP and UDP ones.
#![expect(unsafe_code, reason = "keeping the heap has no safe form")]

use std::os::fd::RawFd;

use rustix::process::{Resource, Rlimit, Signal};
use seccompiler::{BackendError, BpfProgram};

pub(super) use crate::sandbox::SandboxError;
use crate::sandbox::rules::{Rules, int, on, without};
use crate::sandbox::{STDERR, landlock, privileges, step};

/// Above so many TCP ports, Landlock is not told which ones the guest may reach: each would be a system call.
const MAX_LANDLOCK_PORTS: usize = 256;

/// What the helper will have to do.
#[derive(Debug)]
pub(super) struct Needs<'a> {
    /// Descriptors that stay open, besides standard error.
    pub(super) keep: &'a [RawFd],
    /// Whether it makes sockets and connects them.
    pub(super) outbound: bool,
    /// To which TCP ports.
    pub(super) tcp_ports: &'a [u16],
}

/// Raises the limit of open descriptors as far as an unprivileged process may, and says what it is.
pub(super) fn raise_descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Puts up all walls. The calling process must have one thread.
pub(super) fn enter(needs: &Needs<'_>) -> Result<(), SandboxError> {
    privileges::ignore_signals();
    keep_heap();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("parent-death signal"))?;
    privileges::close_others(needs.keep)?;
    privileges::drop_all()?;
    privileges::limit_threads()?;
    let ports = needs.tcp_ports;
    landlock::close_all_but_tcp((ports.len() <= MAX_LANDLOCK_PORTS).then_some(ports))?;
    Ok(seccompiler::apply_filter(&filter(needs.outbound)?)?)
}

/// Keeps freed memory for the next connection. Before glibc returns the end of a heap that is not the first thread's, it
/// reads a file below /proc, which the filter would not survive.
fn keep_heap() {
    // SAFETY: sets a number that the allocator reads; any value is valid.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) };
}

/// The filter of a helper, one that makes connections outwards or one that does not.
pub(super) fn filter(outbound: bool) -> Result<BpfProgram, BackendError> {
    let socket_flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let mut rules = Rules::default();
    // Bytes and events.
    for call in [
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_epoll_ctl,
    ] {
        rules.any(call);
    }
    // Connections.
    rules.pinned(libc::SYS_accept4, &[int(3, socket_flags)]);
    rules.any(libc::SYS_shutdown);
    rules.any(libc::SYS_close);
    rules.pinned(libc::SYS_setsockopt, &[int(1, libc::SOL_SOCKET), int(2, libc::SO_LINGER)]);
    rules.pinned(libc::SYS_setsockopt, &[int(1, libc::IPPROTO_TCP), int(2, libc::TCP_NODELAY)]);
    // Time, for hosts on which reading it needs the kernel.
    rules.pinned(libc::SYS_clock_gettime, &[int(0, libc::CLOCK_MONOTONIC)]);
    // The allocator: anonymous memory that is never executable.
    rules.any(libc::SYS_brk);
    rules.pinned(libc::SYS_mmap, &[without(2, libc::PROT_EXEC), int(4, -1)]);
    rules.pinned(libc::SYS_mprotect, &[without(2, libc::PROT_EXEC)]);
    for call in [libc::SYS_mremap, libc::SYS_munmap, libc::SYS_madvise] {
        rules.any(call);
    }
    // The standard library checks descriptors before it closes them, in builds with checks.
    rules.pinned(libc::SYS_fcntl, &[int(1, libc::F_GETFD)]);
    // The last word, and the end.
    rules.pinned(libc::SYS_write, &[on(STDERR)]);
    rules.pinned(libc::SYS_writev, &[on(STDERR)]);
    rules.any(libc::SYS_exit_group);
    if outbound {
        for family in [libc::AF_INET, libc::AF_INET6] {
            for (kind, protocol) in
                [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)]
            {
                let kind = kind | socket_flags;
                rules.pinned(libc::SYS_socket, &[int(0, family), int(1, kind), int(2, protocol)]);
            }
        }
        rules.any(libc::SYS_connect);
        rules.pinned(libc::SYS_getsockopt, &[int(1, libc::SOL_SOCKET), int(2, libc::SO_ERROR)]);
    }
    rules.program()
}
