//! Memory and descriptors of processes that should keep what they have.

use std::fmt::Write as _;

use rustix::process::Pid;
use tests::processes_in_group;

/// Most that a process may gain after its first second. Guest memory is part of it and is used up by then.
const GROWTH_KIB: u64 = 512;

/// Processes, and what they had at first.
#[derive(Debug)]
pub(crate) struct Watch(Vec<(Pid, Had)>);

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Had {
    kib: u64,
    /// Without pages of files, which come as the program's code is reached.
    own_kib: u64,
    /// `None` where this user may not look.
    descriptors: Option<usize>,
}

impl Had {
    fn now(pid: Pid) -> Self {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero()));
        let own_kib = kib(pid, "RssAnon:") + kib(pid, "RssShmem:");
        Self { kib: resident_kib(pid), own_kib, descriptors: folder.ok().map(Iterator::count) }
    }
}

impl Watch {
    /// Watches the processes of these groups.
    pub(crate) fn new(groups: &[Pid]) -> Self {
        let members = groups.iter().flat_map(|&group| processes_in_group(group));
        Self(members.map(|pid| (pid, Had::now(pid))).collect())
    }

    /// Whether each has what it had, or hardly more.
    pub(crate) fn check(&self) -> Result<(), String> {
        for &(pid, had) in &self.0 {
            let now = Had::now(pid);
            if now.kib == 0 {
                return Err(format!("O1: process {pid} is gone"));
            }
            if now.own_kib > had.own_kib + GROWTH_KIB {
                return Err(format!("O5: process {pid} grew from {} to {} KiB", had.own_kib, now.own_kib));
            }
            if now.descriptors != had.descriptors {
                let (before, now) = (had.descriptors, now.descriptors);
                return Err(format!("O4: process {pid} had {before:?} descriptors and has {now:?}"));
            }
        }
        Ok(())
    }

    /// What each had at first.
    pub(super) fn first(&self) -> String {
        text(self.0.iter().copied())
    }

    /// What each has now.
    pub(super) fn sample(&self) -> String {
        text(self.0.iter().map(|&(pid, _)| (pid, Had::now(pid))))
    }
}

fn text(each: impl Iterator<Item = (Pid, Had)>) -> String {
    let mut text = String::new();
    for (pid, had) in each {
        let descriptors = had.descriptors.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let _ = write!(text, "[{pid}: {} KiB, {descriptors} fds] ", had.kib);
    }
    text.trim_end().to_owned()
}

/// Resident memory. 0 for a process that is gone.
pub(crate) fn resident_kib(pid: Pid) -> u64 {
    kib(pid, "VmRSS:")
}

/// A line of a process's status. 0 for a process that is gone.
fn kib(pid: Pid, name: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
