//! A kernel that lacks something, for one program: its system calls fail as they would there.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

/// Executes a program for which there is no Landlock. Returns only if it cannot.
pub(crate) fn execute(program: &Path, arguments: &[OsString]) -> String {
    // What a kernel says that was built without it (landlock_create_ruleset(2), "ERRORS").
    let missing = SeccompAction::Errno(libc::EOPNOTSUPP.unsigned_abs());
    let calls =
        [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];
    let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, TargetArch::x86_64)
        .and_then(TryInto::<seccompiler::BpfProgram>::try_into);
    let installed = filter
        .map_err(|error| error.to_string())
        .and_then(|program| seccompiler::apply_filter(&program).map_err(|error| error.to_string()));
    match installed {
        Ok(()) => Command::new(program).args(arguments).exec().to_string(),
        Err(error) => error,
    }
}
