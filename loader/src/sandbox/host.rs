//! What this host's kernel lacks of the walls around a monitor.
#![expect(unsafe_code, reason = "asking for Landlock's version and seccomp's actions has no safe wrapper")]

use std::io;

use super::landlock;
use super::placement::{self, Placement};

/// `LANDLOCK_CREATE_RULESET_VERSION` (include/uapi/linux/landlock.h, v6.12).
const VERSION_ONLY: u32 = 1;

/// Landlock's version on this host.
///
/// # Errors
/// Why there is none.
pub fn landlock_abi() -> io::Result<i32> {
    // SAFETY: with a null pointer, size 0 and this flag the call reads no memory and returns a version or an error
    // (Documentation/userspace-api/landlock.rst, "Landlock ABI versions").
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION_ONLY)
    };
    if abi < 1 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(abi).unwrap_or(i32::MAX)) }
}

/// Whether a filter can kill a whole process.
#[must_use]
pub fn can_kill_by_filter() -> bool {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: reads one 32-bit word (seccomp(2), SECCOMP_GET_ACTION_AVAIL) and changes nothing.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}

/// What this kernel lacks of the sandbox, each as the end of a sentence that begins with "this kernel"; nothing if all is there.
#[must_use]
pub fn lacking(placement: &Placement) -> Vec<String> {
    let mut lacks = Vec::new();
    if !can_kill_by_filter() {
        lacks.push("has no filter that kills a process (Linux 4.14, CONFIG_SECCOMP_FILTER)".to_owned());
    }
    lacks.extend(of_landlock(landlock_abi().unwrap_or(0)));
    if placement.core_scheduling && !placement::has_core_scheduling() {
        lacks.push("has no core scheduling (Linux 5.14, CONFIG_SCHED_CORE)".to_owned());
    }
    lacks
}

/// What a version of Landlock does not close.
fn of_landlock(abi: i32) -> Option<String> {
    Some(match abi {
        landlock::NEWEST.. => return None,
        5 => "has a Landlock that does not close signals and abstract sockets (ABI 5; Linux 6.12 has 6)".to_owned(),
        4 => "has a Landlock that does not close devices, signals and abstract sockets (ABI 4; Linux 6.12 has 6)".to_owned(),
        1..=3 => format!(
            "has a Landlock that does not close TCP, devices, signals and abstract sockets (ABI {abi}; Linux 6.12 has 6)"
        ),
        _ => "has no Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_landlock_but_the_newest_lacks_something() {
        assert_eq!(of_landlock(6), None);
        assert_eq!(of_landlock(7), None);
        for old in 0..6 {
            assert!(of_landlock(old).is_some(), "{old}");
        }
    }
}
