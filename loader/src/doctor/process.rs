//! What a guest that is a process needs.
#![expect(unsafe_code, reason = "tries a filter in a process of its own")]

use std::io;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::ForkResult;

use super::Check;

const NAME: &str = "process backend";

/// Whether `ringwall run --backend process` will do: a filter with a listener can be installed, and registers can be cleared.
pub(super) fn check() -> Check {
    // Bit 27: the kernel has enabled XSAVE (SDM Vol. 2A, CPUID.1:ECX).
    if std::arch::x86_64::__cpuid(1).ecx & 1 << 27 == 0 {
        return Check::limited(NAME, "this CPU has no XSAVE", "only `--backend kvm` runs here");
    }
    match try_listener() {
        Ok(()) => Check::ok(NAME, "system calls can be handed to a monitor (seccomp)"),
        Err(error) => {
            let advice = match error.raw_os_error() {
                Some(libc::EBUSY) => {
                    "a sandbox around this one intercepts system calls already: run outside of it"
                }
                Some(libc::EINVAL) => "use Linux 5.19 or newer, with CONFIG_SECCOMP_FILTER",
                _ => "a sandbox around this one may forbid seccomp",
            };
            Check::limited(NAME, format!("no filter with a listener: {error}"), advice)
        }
    }
}

/// Installs a filter that allows everything, in a process that ends at once.
fn try_listener() -> io::Result<()> {
    // SAFETY: this program has one thread, and the child makes three system calls and ends.
    match unsafe { nix::unistd::fork() }? {
        #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum: only exits are expected")]
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, errno) => Err(io::Error::from_raw_os_error(errno)),
            _ => Err(io::ErrorKind::Other.into()),
        },
        ForkResult::Child => {
            let errno = install().err().and_then(|error| error.raw_os_error()).unwrap_or(0);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(errno) }
        }
    }
}

fn install() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let code = u16::try_from(libc::BPF_RET | libc::BPF_K).unwrap_or(0);
    let mut allow = libc::sock_filter { code, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut allow };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: reads the program and its one instruction.
    let listener =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if listener < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
