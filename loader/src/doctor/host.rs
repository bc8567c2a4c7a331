//! The rest of the host: processor, kernel, sandbox, taps.

use std::fs;
use std::io;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create};
use x86::cpuid::CpuId;

use super::Check;
use crate::sandbox;

pub(super) fn checks() -> Vec<Check> {
    vec![kernel(), tsc(), memfd(), seccomp(), landlock(), tap()]
}

fn kernel() -> Check {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Check::ok("kernel", format!("{} {}", text(name.sysname()), text(name.release())))
}

fn tsc() -> Check {
    let power = CpuId::new().get_advanced_power_mgmt_info();
    if power.is_some_and(|info| info.has_invariant_tsc()) {
        Check::ok("invariant TSC", "the guest reads time without leaving")
    } else {
        let advice = "nothing needs to be done: time is right, but each reading costs a hypercall";
        Check::limited("invariant TSC", "not offered by this processor", advice)
    }
}

/// Makes a sealed file like the one that text and constants lie in.
fn memfd() -> Check {
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    let sealed = memfd_create("ringwall-doctor", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC)
        .and_then(|file| fcntl_add_seals(&file, seals));
    match sealed {
        Ok(()) => Check::ok("sealed memory", "memfd with write seal"),
        Err(errno) => {
            let found = format!("cannot seal a memfd: {}", io::Error::from(errno));
            Check::missing(
                "sealed memory",
                found,
                "run outside of the sandbox or container that forbids memfd_create",
            )
        }
    }
}

fn seccomp() -> Check {
    match fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(actions) if actions.split_whitespace().any(|action| action == "kill_process") => {
            Check::ok("seccomp", "filters can kill the process")
        }
        Ok(_) => Check::missing("seccomp", "without kill_process", "use Linux 4.14 or newer"),
        Err(error) => {
            let found = format!("unknown: cannot read /proc/sys/kernel/seccomp/actions_avail ({error})");
            Check::limited("seccomp", found, "mount /proc, or use a kernel with CONFIG_SECCOMP_FILTER")
        }
    }
}

fn landlock() -> Check {
    match sandbox::landlock_abi() {
        Ok(abi) => Check::ok("Landlock", format!("ABI {abi}")),
        Err(error) => {
            let advice = "boot with `lsm=landlock,...`, or use a kernel with CONFIG_SECURITY_LANDLOCK";
            Check::limited("Landlock", format!("not available: {error}"), advice)
        }
    }
}

fn tap() -> Check {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open("/dev/net/tun", flags, Mode::empty()) {
        Ok(_) => Check::ok("tap", "/dev/net/tun can be opened"),
        Err(errno) => {
            let found = format!("cannot open /dev/net/tun: {}", io::Error::from(errno));
            let advice = "only `--net NAME=tap:IFACE` needs it, `--net NAME=user` does not; as root: `modprobe tun && \
                          chmod 666 /dev/net/tun`";
            Check::limited("tap", found, advice)
        }
    }
}
