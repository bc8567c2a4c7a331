//! Sections 5 and 6: floods, limits, signals, and hosts that fail.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use ::tests::{App, Ringwall, processes_in_group};
use rustix::process::Signal;

use crate::case::{Case, Got, all, case};
use crate::guest;
use crate::host::Host;
use crate::soak;

const NO_LAB: &str = "there is no shell, and what is tested does not meet the processor";
/// What a monitor gets to end, and what it may need beyond that.
pub(super) const GRACE_S: &str = "0.2";
pub(super) const BOUND: Duration = Duration::from_millis(3_000);

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let obeys = |row, name: &'static str, words: &'static [&'static str]| {
        case(row, name, all(&["exit 143 in time"]).not_lab(NO_LAB), move |host| obeys_sigterm(host, words))
    };
    let limited = |row, name: &'static str, limit: &'static str, outcomes: &'static [&'static str]| {
        case(row, name, all(outcomes).not_lab(NO_LAB), move |host| under_limit(host, limit))
    };
    vec![
        obeys(205, "sigterm-during-a-console-flood", &["touch", "console-flood", "heap+0x8000"]),
        obeys(208, "sigterm-during-a-call-storm", &["call-storm"]),
        obeys(210, "sigterm-during-a-loop", &["loop"]),
        obeys(211, "sigterm-during-vmmcalls", &["rdtsc-loop"]),
        obeys(212, "sigterm-during-a-sleep", &["sleep-for-ever"]),
        case(
            205,
            "console-that-nobody-reads",
            all(&["exit 143, memory flat"]).not_lab(NO_LAB),
            blocked_console,
        ),
        case(205, "console-that-is-full", all(&["exit 0"]).not_lab(NO_LAB), |host| {
            with_output(host, "/dev/full")
        }),
        case(205, "console-that-is-closed", all(&["exit 0", "exit 71"]).not_lab(NO_LAB), closed_output),
        case(207, "input-without-end", all(&["exit 0"]).not_lab(NO_LAB), input),
        case(
            208,
            "adversary-with-ten-seeds",
            all(&["calls refused, monitor well"]).not_lab(NO_LAB),
            adversaries,
        ),
        case(208, "adversary-soak", all(&["flat, and every signal obeyed"]).not_lab(NO_LAB), |host| {
            soak::soak(host, Duration::from_secs(6))
        }),
        case(213, "one-fault-one-report", all(&["one report"]), one_report),
        case(215, "touch-most-of-the-heap", all(&["gives 0x0"]), |host| {
            guest::attack(host, &["touch", "fill", "heap+0x8000"])
        }),
        // Descriptors, stack, address space, file size; then too few to start at all.
        limited(221, "with-16-descriptors", "-n 16", &["exit 0"]),
        limited(221, "with-4-descriptors", "-n 4", &["exit 0", "exit 71*", "exit 69*"]),
        limited(222, "with-256-kib-of-stack", "-s 256", &["exit 0"]),
        limited(223, "with-64-mib-of-addresses", "-v 65536", &["exit 0", "exit 71*"]),
        limited(223, "with-8-mib-of-addresses", "-v 8192", &["exit 0", "exit 71*", "exit 134*", "exit 139*"]),
        limited(231, "with-files-of-0-bytes", "-f 0", &["exit 0", "exit 71*"]),
        limited(252, "with-unlimited-cores", "-c unlimited", &["exit 0"]),
        case(224, "fifty-boots-at-once", all(&["50 x exit 0"]).not_lab(NO_LAB), fifty_at_once),
        case(226, "random-words-of-32-boots", all(&["all distinct"]).not_lab(NO_LAB), random_words),
        // The memory of a process's guest is a file of the kernel's, to which the limit applies: it does not start.
        case(
            231,
            "disk-writes-under-a-file-size-limit",
            all(&["exit 1, said so"]).process(&["exit 71"]).not_lab(NO_LAB),
            file_size_limit,
        ),
    ]
}

/// Starts an attack that never ends, asks it to, and sees that it is gone in time.
pub(super) fn obeys_sigterm(host: Host, words: &[&str]) -> Got {
    let running = guest::start(host, &["--grace", GRACE_S], words);
    let group = running.pid();
    std::thread::sleep(Duration::from_millis(100));
    running.signal(Signal::TERM);
    let asked = std::time::Instant::now();
    let run = running.wait();
    let took = asked.elapsed();
    if !processes_in_group(group).is_empty() {
        return Err("O1: a process is left".to_owned());
    }
    Ok(if took < BOUND {
        format!("exit {} in time", run.code)
    } else {
        format!("exit {} after {took:?}", run.code)
    })
}

/// A console on a pipe that is full: the monitor waits, and neither grows nor outlives its signal.
fn blocked_console(host: Host) -> Got {
    let mut child = Command::new(Ringwall::program())
        .args(["run", "--grace", GRACE_S, "--backend", host.backend().name()])
        .arg(App::Attack.image())
        .args(["--", "touch", "console-flood", "heap+0x8000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let pid = rustix::process::Pid::from_child(&child);
    std::thread::sleep(Duration::from_millis(200));
    let monitors = processes_in_group(pid);
    let before: u64 = monitors.iter().map(|pid| soak::resident_kib(*pid)).sum();
    std::thread::sleep(Duration::from_millis(300));
    let after: u64 = monitors.iter().map(|pid| soak::resident_kib(*pid)).sum();
    rustix::process::kill_process(pid, Signal::TERM).map_err(|errno| errno.to_string())?;
    let status = child.wait().map_err(|error| error.to_string())?;
    let flat = if after <= before + 64 { ", memory flat" } else { ", memory grows" };
    Ok(format!("exit {}{flat}", status.code().unwrap_or(-1)))
}

fn shell(host: Host, script: &str, words: &[&str]) -> ::tests::Run {
    let run = Ringwall::under(&["sh", "-c", script]).args(["run", "--time-limit", "20"]);
    run.image(host.backend(), App::Attack.image()).guest(words).run()
}

fn with_output(host: Host, path: &str) -> Got {
    let run = shell(host, &format!("exec \"$0\" \"$@\" >{path}"), &["nop"]);
    guest::check(&run)?;
    Ok(format!("exit {}", run.code))
}

fn closed_output(host: Host) -> Got {
    let run = shell(host, "exec \"$0\" \"$@\" >&-", &["nop"]);
    Ok(format!("exit {}", run.code))
}

fn input(host: Host) -> Got {
    let run = shell(host, "exec \"$0\" \"$@\" </dev/zero", &["nop"]);
    guest::check(&run)?;
    Ok(format!("exit {}", run.code))
}

fn under_limit(host: Host, limit: &str) -> Got {
    let run = shell(host, &format!("ulimit {limit} && exec \"$0\" \"$@\""), &["nop"]);
    let said = run.stderr.lines().next().unwrap_or_default();
    Ok(if run.code == 0 { "exit 0".to_owned() } else { format!("exit {}: {said}", run.code) })
}

fn one_report(host: Host) -> Got {
    let run = guest::run(host, &[], &["hlt"]);
    let reports = run.stderr.matches("(vector ").count();
    Ok(if (run.code, reports) == (81, 1) {
        "one report".to_owned()
    } else {
        format!("exit {}, {reports}", run.code)
    })
}

fn adversaries(host: Host) -> Got {
    for seed in 1..=10_u64 {
        let run = soak::adversary(host, seed, Some(2_000))?.wait();
        guest::check(&run)?;
        if run.code != 0 || !run.stdout.contains("refused ") {
            return Ok(format!("seed {seed}: exit {}: {}", run.code, run.stderr));
        }
    }
    Ok("calls refused, monitor well".to_owned())
}

fn fifty_at_once(host: Host) -> Got {
    let running: Vec<_> = (0..50).map(|_| guest::start(host, &[], &["nop"])).collect();
    let groups: Vec<_> = running.iter().map(::tests::Running::pid).collect();
    let good = running.into_iter().map(::tests::Running::wait).filter(|run| run.code == 0).count();
    let left = groups.into_iter().filter(|&group| !processes_in_group(group).is_empty()).count();
    if left == 0 { Ok(format!("{good} x exit 0")) } else { Err(format!("O1: {left} left processes behind")) }
}

fn random_words(host: Host) -> Got {
    let mut words = Vec::new();
    for _ in 0..32 {
        words.push(guest::by_program(host, &[], &["touch", "random-word", "heap+0x8000"])?);
    }
    words.sort();
    words.dedup();
    Ok(if words.len() == 32 { "all distinct".to_owned() } else { format!("{} distinct", words.len()) })
}

/// A write past the process's limit is an error that the guest hears of, and no signal that kills.
fn file_size_limit(host: Host) -> Got {
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    file.as_file().set_len(4 << 20).map_err(|error| error.to_string())?;
    let run = Ringwall::under(&["sh", "-c", "ulimit -f 1024 && exec \"$0\" \"$@\""]).args(["run"]);
    let run = run.image(host.backend(), App::Disk.image());
    let run = run.args(["--block", &format!("data={}", file.path().display())]).guest(&["write"]).run();
    let said = if run.stdout.contains("no space left") || run.stdout.contains("input/output") {
        ", said so"
    } else {
        ""
    };
    Ok(format!("exit {}{said}", run.code))
}
