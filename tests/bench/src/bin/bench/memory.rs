//! What the loader's processes take while an appliance runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use bench::result::Comparison;

use crate::{Failure, beside, image};

/// The promise, for both processes together, guest memory included.
const LIMIT_KIB: f64 = 4096.0;

/// Resident memory of parent and monitor while `bench idle` waits, against the limit. Pages that both share count twice, and
/// so does nothing for the guest's own pages: the number is on the high side.
pub(crate) fn measure() -> Result<Comparison, Failure> {
    let mut child = Command::new(beside("ringwall")?)
        .arg("run")
        .arg(image("bench")?)
        .args(["--", "idle"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let parent = child.id();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let monitor = children.split_whitespace().next().ok_or("the monitor is not there")?;
    let resident = resident_kib(&parent.to_string())? + resident_kib(monitor)?;
    let parent = nix::unistd::Pid::from_raw(i32::try_from(parent)?);
    nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGTERM)?;
    child.wait()?;
    Ok(Comparison {
        name: "memory of parent and monitor / limit",
        unit: "KiB",
        ours: resident,
        reference: LIMIT_KIB,
        ratio: resident / LIMIT_KIB,
    })
}

fn resident_kib(pid: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
