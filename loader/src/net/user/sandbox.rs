//! The helper's own walls: whatever a guest's packets do to it, it can talk to open sockets and little else.
//!
//! From here on the process has no descriptors but the ones it was given and standard error, no capabilities, no files
//! (Landlock), and a filter that kills it at the first system call that moving bytes does not need. It can make sockets
//! only if a rule lets the guest out, and then only TCP and UDP ones.
#![expect(unsafe_code, reason = "closing inherited descriptors and ignoring signals have no safe form")]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;

use landlock::{
    Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Descriptor of standard error, for a last word.
const STDERR: RawFd = 2;

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

/// A wall that could not be put up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SandboxError {
    #[error("cannot give up {what}: {source}")]
    GiveUp { what: &'static str, source: io::Error },
    #[error("cannot restrict files: {0}")]
    Landlock(#[from] landlock::RulesetError),
    #[error("cannot build the system-call filter: {0}")]
    Filter(#[from] seccompiler::BackendError),
    #[error("cannot load the system-call filter: {0}")]
    Load(#[from] seccompiler::Error),
}

/// How much of the file restriction the kernel could give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// No file can be opened.
    Closed,
    /// This kernel has no Landlock. The filter still refuses every call that opens a file.
    FilterOnly,
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
pub(super) fn enter(needs: &Needs<'_>) -> Result<Files, SandboxError> {
    let give_up = |what| move |errno: rustix::io::Errno| SandboxError::GiveUp { what, source: errno.into() };
    ignore_signals();
    keep_heap();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(give_up("life after the parent"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(give_up("being traced"))?;
    close_others(needs.keep).map_err(|source| SandboxError::GiveUp { what: "other descriptors", source })?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none).map_err(give_up("capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(give_up("new privileges"))?;
    let files = close_files(needs)?;
    seccompiler::apply_filter(&filter(needs.outbound)?)?;
    Ok(files)
}

/// Signals from a terminal or a supervisor are for the launcher: this process ends when the guest's end of the link closes.
fn ignore_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler, so no code of ours can run at a bad moment.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Keeps freed memory for the next connection. Before glibc returns the end of a heap that is not the first thread's, it
/// reads a file below /proc, which the filter would not survive.
fn keep_heap() {
    // SAFETY: sets a number that the allocator reads; any value is valid.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) };
}

/// Closes every descriptor but `keep` and standard error.
fn close_others(keep: &[RawFd]) -> io::Result<()> {
    let mut kept: Vec<u32> = keep.iter().copied().chain([STDERR]).map(RawFd::cast_unsigned).collect();
    kept.sort_unstable();
    let mut next = 0;
    for fd in kept {
        if next < fd {
            close_range(next, fd - 1)?;
        }
        next = fd + 1;
    }
    close_range(next, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the descriptors in the range came from the parent by fork and nothing in this process owns or uses them; the
    // caller lists all that it does use.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn close_files(needs: &Needs<'_>) -> Result<Files, SandboxError> {
    // Best effort: an older kernel handles what it knows. Nothing is allowed but the ports below.
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(landlock::ABI::V5))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(landlock::ABI::V6))?;
    let name_ports = needs.tcp_ports.len() <= MAX_LANDLOCK_PORTS;
    if name_ports {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = rules.create()?;
    if name_ports {
        for port in needs.tcp_ports {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Files::Closed,
        RulesetStatus::NotEnforced => Files::FilterOnly,
    })
}

/// Ends the process at once: what the launcher registered for its own end, or left unwritten in its buffers, stays its own.
pub(super) fn exit(status: i32) -> ! {
    // SAFETY: has no preconditions; destructors and exit handlers that do not run are this process's copies only.
    unsafe { libc::_exit(status) }
}

/// A call that is allowed whatever its arguments.
fn any() -> Vec<SeccompRule> {
    Vec::new()
}

/// A call whose 32-bit argument `index` is one of `values`.
fn one_of(index: u8, values: &[i32]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    all_of(&values.iter().map(|value| vec![(index, *value)]).collect::<Vec<_>>())
}

/// A call whose arguments match one of `cases`, each a list of argument places and values.
fn all_of(cases: &[Vec<(u8, i32)>]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let equal = |(index, value): &(u8, i32)| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(*index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    cases.iter().map(|case| SeccompRule::new(case.iter().map(equal).collect::<Result<_, _>>()?)).collect()
}

fn filter(outbound: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let socket_flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let not_executable = SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.cast_unsigned())),
        0,
    )?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::from([
        // Bytes and events.
        (libc::SYS_recvfrom, any()),
        (libc::SYS_sendto, any()),
        (libc::SYS_epoll_pwait, any()),
        (libc::SYS_epoll_pwait2, any()),
        (libc::SYS_epoll_ctl, any()),
        // Connections.
        (libc::SYS_accept4, one_of(3, &[socket_flags])?),
        (libc::SYS_shutdown, any()),
        (libc::SYS_close, any()),
        (
            libc::SYS_setsockopt,
            all_of(&[
                vec![(1, libc::SOL_SOCKET), (2, libc::SO_LINGER)],
                vec![(1, libc::IPPROTO_TCP), (2, libc::TCP_NODELAY)],
            ])?,
        ),
        // Time, for hosts on which reading it needs the kernel.
        (libc::SYS_clock_gettime, one_of(0, &[libc::CLOCK_MONOTONIC])?),
        // The allocator.
        (libc::SYS_brk, any()),
        (libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable.clone()])?]),
        (libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable])?]),
        (libc::SYS_mremap, any()),
        (libc::SYS_munmap, any()),
        (libc::SYS_madvise, any()),
        // The standard library checks descriptors before it closes them, in builds with checks.
        (libc::SYS_fcntl, one_of(1, &[libc::F_GETFD])?),
        // The last word, and the end.
        (libc::SYS_write, one_of(0, &[STDERR])?),
        (libc::SYS_exit_group, any()),
    ]);
    if outbound {
        let families = [libc::AF_INET, libc::AF_INET6];
        let kinds = [(libc::SOCK_STREAM, libc::IPPROTO_TCP), (libc::SOCK_DGRAM, libc::IPPROTO_UDP)];
        let cases = families.iter().flat_map(|family| {
            kinds.map(|(kind, protocol)| vec![(0, *family), (1, kind | socket_flags), (2, protocol)])
        });
        rules.insert(libc::SYS_socket, all_of(&cases.collect::<Vec<_>>())?);
        rules.insert(libc::SYS_connect, any());
        rules.insert(libc::SYS_getsockopt, all_of(&[vec![(1, libc::SOL_SOCKET), (2, libc::SO_ERROR)]])?);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}
