//! A kernel that lacks something, for one program: its system calls fail as they would there.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare,
    SeccompCondition as Condition, SeccompFilter, SeccompRule, TargetArch,
};

/// `PR_SET_SYSCALL_USER_DISPATCH` (include/uapi/linux/prctl.h).
const USER_DISPATCH: u64 = 59;

/// What is missing.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Lacking {
    /// Landlock.
    Landlock,
    /// A way to find out whether reading the clock takes a system call, so that it must be taken for one that does.
    ClockProbe,
}

impl Lacking {
    /// The word for [`execute`] on this program's command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::ClockProbe => "clock-probe",
        }
    }

    fn filter(self) -> Result<BpfProgram, BackendError> {
        let (rules, errno) = match self {
            // What a kernel says that was built without it (landlock_create_ruleset(2), "ERRORS").
            Self::Landlock => {
                let calls = [
                    libc::SYS_landlock_create_ruleset,
                    libc::SYS_landlock_add_rule,
                    libc::SYS_landlock_restrict_self,
                ];
                (calls.into_iter().map(|call| (call, Vec::new())).collect(), libc::EOPNOTSUPP)
            }
            // Catching all calls, with no code that is exempt. A guest's process has a gate that is.
            Self::ClockProbe => {
                let option = Condition::new(0, Width::Dword, Compare::Eq, USER_DISPATCH)?;
                let exempt_bytes = Condition::new(3, Width::Qword, Compare::Eq, 0)?;
                let rule = SeccompRule::new(vec![option, exempt_bytes])?;
                ([(libc::SYS_prctl, vec![rule])].into(), libc::EINVAL)
            }
        };
        let missing = SeccompAction::Errno(errno.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, missing, TargetArch::x86_64)?.try_into()
    }
}

/// Executes a program for which something is missing. Returns only if it cannot.
pub(crate) fn execute(lacking: Lacking, program: &Path, arguments: &[OsString]) -> String {
    let installed = lacking
        .filter()
        .map_err(|error| error.to_string())
        .and_then(|program| seccompiler::apply_filter(&program).map_err(|error| error.to_string()));
    match installed {
        Ok(()) => Command::new(program).args(arguments).exec().to_string(),
        Err(error) => error,
    }
}
