//! What is left to the parent when it reads a symbol file, which travels with a hostile image.
//!
//! Until then it holds nothing of the guest's but records of fixed size. From then on it can use memory that is not executable and
//! the descriptors that it has, and everything else fails, so that a parser that an image has taken over opens, connects and
//! executes nothing. It fails and does not kill: a report without names is better than none.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare,
    SeccompCondition as Condition, SeccompFilter, SeccompRule, TargetArch,
};

/// `LANDLOCK_CREATE_RULESET_VERSION` (include/uapi/linux/landlock.h): asks, and makes nothing.
const VERSION_ONLY: u64 = 1;

/// Memory, descriptors that are open, its own numbers, the end. And what a receipt says of the host.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_getrandom,
    libc::SYS_futex,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_clock_gettime,
    libc::SYS_uname,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Closes the calling thread for good. Whether it is: where the kernel has no filters, the parent reads the file as it is.
pub(super) fn close() -> bool {
    program().is_ok_and(|program| seccompiler::apply_filter(&program).is_ok())
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let not_executable = || Condition::new(2, Width::Dword, Compare::MaskedEq(executable), 0);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable()?])?]);
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable()?])?]);
    let available = Condition::new(0, Width::Dword, Compare::Eq, u64::from(libc::SECCOMP_GET_ACTION_AVAIL))?;
    rules.insert(libc::SYS_seccomp, vec![SeccompRule::new(vec![available])?]);
    let version = Condition::new(2, Width::Dword, Compare::Eq, VERSION_ONLY)?;
    rules.insert(libc::SYS_landlock_create_ruleset, vec![SeccompRule::new(vec![version])?]);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, TargetArch::x86_64)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn behind_the_wall_nothing_is_opened_and_nothing_is_executed() {
        // The filter is this thread's alone, and goes with it.
        let behind = std::thread::spawn(|| {
            assert!(close());
            let refused = |result: std::io::Result<()>| {
                result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
            };
            assert!(refused(std::fs::File::open("/dev/null").map(drop)), "open");
            assert!(refused(std::fs::remove_file("/nowhere")), "unlink");
            assert!(refused(TcpListener::bind("127.0.0.1:0").map(drop)), "socket");
            assert!(refused(Command::new("/bin/true").status().map(drop)), "execute");
            assert!(
                refused(rustix::process::test_kill_process(rustix::process::getpid()).map_err(Into::into)),
                "kill"
            );
            // What a report needs works.
            let large: Vec<u8> = vec![7; 64 << 20];
            assert!(crate::sandbox::can_kill_by_filter());
            large.len()
        });
        assert_eq!(behind.join().unwrap(), 64 << 20);
    }
}
