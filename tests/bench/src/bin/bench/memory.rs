//! What the loader's processes take while an appliance runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use bench::result::Comparison;

use crate::{Backend, Failure, beside, image};

/// The promises, for all processes together, guest memory included.
const LIMIT_KVM_KIB: f64 = 4096.0;
const LIMIT_PROCESS_KIB: f64 = 3072.0;
/// How long the processes may take to settle.
const SETTLING: std::time::Duration = std::time::Duration::from_millis(200);

/// Resident memory of parent and monitor while `bench idle` waits, against the limit. Pages that both share count twice, and
/// so does nothing for the guest's own pages: the number is on the high side.
pub(crate) fn measure(backend: Backend) -> Result<Comparison, Failure> {
    let mut child = Command::new(beside("ringwall")?)
        .args(["run", "--backend", backend.name()])
        .arg(image("bench")?)
        .args(["--", "idle"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let parent = child.id();
    std::thread::sleep(SETTLING);
    let mut resident = 0.0;
    let mut process = Some(parent.to_string());
    // Parent, monitor, and the guest if that is a process.
    while let Some(pid) = process {
        resident += resident_kib(&pid)?;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        process = children.split_whitespace().next().map(str::to_owned);
    }
    let parent = nix::unistd::Pid::from_raw(i32::try_from(parent)?);
    nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGTERM)?;
    child.wait()?;
    let limit = match backend {
        Backend::Kvm => LIMIT_KVM_KIB,
        Backend::Process => LIMIT_PROCESS_KIB,
    };
    Ok(Comparison {
        name: "memory of all processes / limit",
        unit: "KiB",
        ours: resident,
        reference: limit,
        ratio: resident / limit,
    })
}

/// Resident memory of one process.
pub(crate) fn resident_kib(pid: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
