//! `ringwall doctor --sandbox`: which system calls each process of a running appliance may make.
//!
//! The filters are made as for a run, with made-up descriptors, and the list is read from their programs.

use std::fmt;
use std::os::fd::RawFd;

use seccompiler::{BackendError, BpfProgram};
use serde_json::json;

use crate::backend::{kvm, process};
use crate::net::{frames, user};
use crate::sandbox::listing::{self, Pin, Way};
use crate::sandbox::{Descriptors, DiskDescriptor};

/// One kind of process, and what it may do.
#[derive(Clone, Debug)]
pub struct Process {
    /// What it is.
    pub name: &'static str,
    /// Each way in which it may make a call, by call.
    pub ways: Vec<Way>,
    descriptors: &'static [(RawFd, &'static str)],
}

const VCPU: RawFd = 3;
const SIGNALS: RawFd = 4;
const REPORT: RawFd = 5;
const CONSOLE: RawFd = 6;
const NIC: RawFd = 7;
const DISK: RawFd = 8;
const READ_ONLY_DISK: RawFd = 9;
const CLOCK: RawFd = 10;
const DESCRIPTORS: &[(RawFd, &str)] = &[
    (2, "standard error"),
    (VCPU, "vCPU"),
    (SIGNALS, "signals"),
    (REPORT, "end record"),
    (CONSOLE, "console"),
    (NIC, "NIC"),
    (DISK, "disk"),
    (READ_ONLY_DISK, "read-only disk"),
    (CLOCK, "timer"),
];
const MONITOR: RawFd = 3;
const NETWORK: RawFd = 4;
const RELAY_DESCRIPTORS: &[(RawFd, &str)] =
    &[(2, "standard error"), (MONITOR, "monitor"), (NETWORK, "network")];
const DISK_BYTES: u64 = 1 << 26;

/// Requests of ioctl, by their numbers.
const REQUESTS: [(u64, &str); 4] = [
    (kvm::IOCTLS[0], "KVM_RUN"),
    (kvm::IOCTLS[1], "KVM_GET_SREGS"),
    (process::IOCTLS[0], "SECCOMP_IOCTL_NOTIF_RECV"),
    (process::IOCTLS[1], "SECCOMP_IOCTL_NOTIF_SEND"),
];

/// Every kind of process that there is while an appliance runs and that is closed. `needs_timer` says that clocks take a system
/// call on the host, so that a monitor reads a timer: see [`crate::sandbox::clock_takes_a_call`].
#[must_use]
pub fn processes(needs_timer: bool) -> Vec<Process> {
    let monitor = |ioctls, disks: bool| {
        let disk = |fd, read_only| DiskDescriptor { fd, size_bytes: DISK_BYTES, read_only };
        Descriptors {
            vcpu: VCPU,
            vcpu_ioctls: ioctls,
            signals: SIGNALS,
            report: REPORT,
            console: CONSOLE,
            clock: needs_timer.then_some(CLOCK),
            nics: vec![NIC],
            disks: if disks { vec![disk(DISK, false), disk(READ_ONLY_DISK, true)] } else { Vec::new() },
            core: None,
        }
        .filter()
    };
    [
        ("monitor, KVM, without a disk", monitor(kvm::IOCTLS, false), DESCRIPTORS),
        ("monitor, KVM, with disks of 64 MiB", monitor(kvm::IOCTLS, true), DESCRIPTORS),
        ("monitor, process, without a disk", monitor(process::IOCTLS, false), DESCRIPTORS),
        ("monitor, process, with disks of 64 MiB", monitor(process::IOCTLS, true), DESCRIPTORS),
        ("helper of a `user` network without --allow", user::filter(false), &DESCRIPTORS[..1]),
        ("helper of a `user` network with --allow", user::filter(true), &DESCRIPTORS[..1]),
        ("relay of a tap or descriptor with a policy", frames::filter([MONITOR, NETWORK]), RELAY_DESCRIPTORS),
    ]
    .into_iter()
    .filter_map(|(name, filter, descriptors)| Process::new(name, filter, descriptors))
    .collect()
}

impl Process {
    /// `None` for a filter that cannot be made or read. No such filter could be installed either, and tests read all of them.
    fn new(
        name: &'static str,
        filter: Result<BpfProgram, BackendError>,
        descriptors: &'static [(RawFd, &'static str)],
    ) -> Option<Self> {
        let ways = listing::ways(&filter.ok()?).ok()?;
        Some(Self { name, ways: merged(&ways), descriptors })
    }

    /// The calls, each once.
    #[must_use]
    pub fn calls(&self) -> Vec<u32> {
        let mut calls: Vec<u32> = self.ways.iter().map(|way| way.number).collect();
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// What a way asks of its arguments, for people. Arguments behind the last pin are left out.
    fn pins(&self, way: &Way) -> Vec<String> {
        let last = way.arguments.iter().rposition(|pin| *pin != Pin::Any).map_or(0, |last| last + 1);
        let text = |(index, pin): (usize, &Pin)| match (index, pin) {
            (0, Pin::Equal(fd)) if i64::from(way.number) != libc::SYS_socket => {
                let known = self.descriptors.iter().find(|(known, _)| u64::try_from(*known) == Ok(*fd));
                known.map_or_else(|| pin.to_string(), |(_, name)| (*name).to_owned())
            }
            (1, Pin::Equal(request)) if i64::from(way.number) == libc::SYS_ioctl => {
                let known = REQUESTS.iter().find(|(known, _)| known == request);
                known.map_or_else(|| pin.to_string(), |(_, name)| (*name).to_owned())
            }
            _ => pin.to_string(),
        };
        way.arguments[..last].iter().enumerate().map(text).collect()
    }
}

/// Without ways that another one includes: "at most" of 64 bits is two ways for a filter.
fn merged(ways: &[Way]) -> Vec<Way> {
    let includes = |wide: &Pin, narrow: &Pin| match (wide, narrow) {
        (Pin::Any, _) => true,
        (Pin::AtMost(wide), Pin::AtMost(narrow) | Pin::Equal(narrow)) => narrow <= wide,
        _ => wide == narrow,
    };
    let covers = |wide: &Way, narrow: &Way| {
        wide.number == narrow.number
            && wide.arguments.iter().zip(&narrow.arguments).all(|(wide, narrow)| includes(wide, narrow))
    };
    let mut kept: Vec<Way> = Vec::new();
    for way in ways {
        if !kept.iter().any(|known| covers(known, way)) {
            kept.retain(|known| !covers(way, known));
            kept.push(*way);
        }
    }
    kept.sort_by_key(|way| way.number);
    kept
}

fn name(number: u32) -> String {
    listing::name(number).map_or_else(|| format!("call {number}"), str::to_owned)
}

impl fmt::Display for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}: {} system calls", self.name, self.calls().len())?;
        for way in &self.ways {
            writeln!(formatter, "  {:<14} {}", name(way.number), self.pins(way).join(", "))?;
        }
        Ok(())
    }
}

/// `[{"process", "calls", "ways": [{"call", "arguments": [text]}]}]`.
#[must_use]
pub fn to_json(processes: &[Process]) -> serde_json::Value {
    let way =
        |process: &Process, way: &Way| json!({ "call": name(way.number), "arguments": process.pins(way) });
    processes
        .iter()
        .map(|process| {
            json!({
                "process": process.name,
                "calls": process.calls().len(),
                "ways": process.ways.iter().map(|one| way(process, one)).collect::<Vec<_>>(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_can_be_read_and_every_call_has_a_name() {
        for needs_timer in [false, true] {
            let processes = processes(needs_timer);
            assert_eq!(processes.len(), 7);
        }
        for process in &processes(true) {
            assert!(!process.to_string().contains("call "), "{process}");
            assert!(!process.ways.is_empty());
        }
    }

    #[test]
    fn a_monitor_may_make_six_calls_and_ten_with_a_disk_all_on_its_own_descriptors() {
        let all = [processes(false), processes(true)].concat();
        for process in all.iter().filter(|process| process.name.starts_with("monitor")) {
            let most = if process.name.contains("without") { 6 } else { 10 };
            assert_eq!(process.calls().len(), most, "{process}");
            for way in &process.ways {
                let takes_descriptor = ![libc::SYS_ppoll, libc::SYS_getrandom, libc::SYS_exit_group]
                    .contains(&i64::from(way.number));
                if takes_descriptor {
                    let Pin::Equal(fd) = way.arguments[0] else { panic!("{process}") };
                    assert!(fd == 2 || (3..=10).contains(&fd), "{process}");
                }
            }
        }
    }

    #[test]
    fn no_process_can_open_execute_or_make_memory_executable() {
        for process in processes(true) {
            for call in process.calls() {
                let call = i64::from(call);
                assert!(
                    ![libc::SYS_open, libc::SYS_openat, libc::SYS_execve, libc::SYS_clone, libc::SYS_kill]
                        .contains(&call),
                    "{process}"
                );
            }
            let maps = [libc::SYS_mmap, libc::SYS_mprotect];
            for way in process.ways.iter().filter(|way| maps.contains(&i64::from(way.number))) {
                let mask = u32::try_from(libc::PROT_EXEC).unwrap();
                assert_eq!(way.arguments[2], Pin::Bits { mask, value: 0 }, "{process}");
            }
        }
    }
}
