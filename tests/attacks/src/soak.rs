//! Hours of random calls: memory and descriptors stay flat, and a signal is obeyed whenever it comes.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tests::{App, Ringwall, Running, processes_in_group};

use crate::case::Got;
use crate::guest;
use crate::host::Host;

/// Most that a monitor may gain after its first second. Guest memory is part of it and is used up by then.
const GROWTH_KIB: u64 = 512;
/// What a run gets to end, and what it may need beyond that on a busy machine.
const GRACE_S: &str = "0.2";
const BOUND: Duration = Duration::from_secs(4);

/// Starts an adversary with a disk and a network, for so many rounds or until it hears of a shut-down.
pub(crate) fn adversary(host: Host, seed: u64, rounds: Option<u64>) -> Result<Running, String> {
    let disk = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    disk.as_file().set_len(1 << 20).map_err(|error| error.to_string())?;
    let (seed, rounds) = (seed.to_string(), rounds.map(|rounds| rounds.to_string()));
    let words: Vec<&str> = std::iter::once(seed.as_str()).chain(rounds.as_deref()).collect();
    let running = Ringwall::run_app(host.backend(), App::Adversary)
        .args(["--grace", GRACE_S, "--block", &format!("data={}", disk.path().display())])
        .guest(&words)
        .start();
    // Its name may go as soon as it is open.
    let _ = running.stdout.line_with("adversary ");
    Ok(running)
}

/// Attacks for so long: one adversary all the time, others that are asked to end at random moments.
pub(crate) fn soak(host: Host, time: Duration) -> Got {
    let started = Instant::now();
    let steady = adversary(host, 0, None)?;
    std::thread::sleep(Duration::from_secs(1));
    let members = processes_in_group(steady.pid());
    let first: Vec<(u64, Option<usize>)> =
        members.iter().map(|&pid| (resident_kib(pid), descriptors(pid))).collect();
    let mut seed = 1;
    let mut moment = 0x1234_5678_u64;
    while started.elapsed() < time {
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let running = adversary(host, seed, None)?;
        std::thread::sleep(Duration::from_micros(moment >> 45));
        let group = running.pid();
        running.signal(Signal::TERM);
        let asked = Instant::now();
        let run = running.wait();
        let took = asked.elapsed();
        guest::check(&run)?;
        if took > BOUND || !matches!(run.code, 0 | 143) {
            return Err(format!("O6: seed {seed}: exit {} {took:?} after SIGTERM", run.code));
        }
        if !processes_in_group(group).is_empty() {
            return Err(format!("O1: seed {seed}: a process is left"));
        }
        flat(&members, &first)?;
        seed += 1;
    }
    steady.signal(Signal::TERM);
    let run = steady.wait();
    guest::check(&run)?;
    eprintln!("soak on {host}: {} s, {seed} adversaries, {first:?} at first", started.elapsed().as_secs());
    Ok("flat, and every signal obeyed".to_owned())
}

/// Memory and descriptors of each process are what they were, or hardly more.
fn flat(members: &[Pid], first: &[(u64, Option<usize>)]) -> Result<(), String> {
    for (&pid, &(kib, descriptors_before)) in members.iter().zip(first) {
        let (now_kib, now) = (resident_kib(pid), descriptors(pid));
        if now_kib > kib + GROWTH_KIB {
            return Err(format!("O5: process {pid} grew from {kib} to {now_kib} KiB"));
        }
        if now != descriptors_before {
            return Err(format!("O4: process {pid} had {descriptors_before:?} descriptors and has {now:?}"));
        }
    }
    Ok(())
}

/// Resident memory. 0 for a process that is gone.
pub(crate) fn resident_kib(pid: Pid) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// How many descriptors a process has. `None` where this user may not look.
fn descriptors(pid: Pid) -> Option<usize> {
    std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).ok().map(Iterator::count)
}
