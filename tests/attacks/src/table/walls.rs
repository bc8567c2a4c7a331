//! The walls around a monitor: hosts that lack KVM or a wall, and system calls from inside, one by one.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ::tests::breakout::{self, Crime, Expected as Crimes, Fate};
use ::tests::{App, Backend, Ringwall, is_root};
use rustix::process::Signal;

use super::files::in_one_line;
use crate::case::{Case, Expected, Got, all, case, nowhere};
use crate::guest;
use crate::host::Host;
use crate::lacking::Lacking;
use crate::words;

const NO_LAB: &str = "there is no shell, and what is tested does not meet the processor";
const NOT_ROOT: &str = "only root may";
const KILLED: &[&str] = &["killed by the filter"];
const GOES_ON: &[&str] = &["goes on"];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let refused = all(&["exit 69, one line", NOT_ROOT]).not_process("it needs no KVM").not_lab(NO_LAB);
    let mut cases = vec![
        case(247, "kvm-that-is-missing", refused, |host| {
            without_kvm(host, "mount -t tmpfs none /dev; exec \"$0\" \"$@\"")
        }),
        case(247, "kvm-that-is-dev-null", refused, |host| {
            without_kvm(host, "mount --bind /dev/null /dev/kvm; exec \"$0\" \"$@\"")
        }),
        case(247, "kvm-that-is-a-file", refused, |host| {
            without_kvm(host, "mount -t tmpfs none /dev; : >/dev/kvm; exec \"$0\" \"$@\"")
        }),
        case(
            247,
            "kvm-that-fails-while-a-guest-runs",
            nowhere(
                "KVM_RUN does not fail on demand: `RunFailed` of `loader/src/monitor/end.rs` is what it becomes, exit 71",
            ),
            |_| Err("not here".to_owned()),
        ),
        // The first process there is a child, and cannot see its parent, whose death it has to see.
        case(
            248,
            "new-process-namespace-without-a-fork",
            all(&["exit 71, one line", NOT_ROOT]).not_lab(NO_LAB),
            |host| {
                if !is_root() {
                    return Ok(NOT_ROOT.to_owned());
                }
                let run = Ringwall::under(&["unshare", "--pid"]).args(["run"]);
                in_one_line(&run.image(host.backend(), App::Attack.image()).guest(&["nop"]).run())
            },
        ),
        case(248, "new-process-namespace-with-a-fork", all(&["exit 0", NOT_ROOT]).not_lab(NO_LAB), |host| {
            if !is_root() {
                return Ok(NOT_ROOT.to_owned());
            }
            let run = Ringwall::under(&["unshare", "--pid", "--fork"]).args(["run"]);
            let run = run.image(host.backend(), App::Attack.image()).guest(&["nop"]).run();
            guest::check(&run)?;
            Ok(format!("exit {}", run.code))
        }),
        // Its filter has no other call for it, so a wrong way to the clock would be the monitor's death.
        case(249, "clock-that-takes-a-call", all(&["the time"]).not_lab(NO_LAB), by_timer),
        case(249, "every-thread-has-the-filter", all(&["each"]).not_lab(NO_LAB), every_thread),
        case(251, "kernel-without-landlock", all(&["exit 0, said loudly"]).not_lab(NO_LAB), |host| {
            let run = lacking(host, Lacking::Landlock, &[], &["nop"]);
            guest::check(&run)?;
            let loud = if run.stderr.contains("has no Landlock") { ", said loudly" } else { "" };
            Ok(format!("exit {}{loud}", run.code))
        }),
        case(
            251,
            "kernel-without-landlock-and-a-sandbox-required",
            all(&["exit 69, one line"]).not_lab(NO_LAB),
            |host| in_one_line(&lacking(host, Lacking::Landlock, &["--require-sandbox"], &["nop"])),
        ),
    ];
    cases.extend(crimes());
    cases
}

/// Each system call from inside, by a monitor without and with a disk.
fn crimes() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for backend in [Backend::Kvm, Backend::Process] {
        for crime in breakout::all(backend) {
            let name = format!("inside-{}", crime.name.replace(' ', "-"));
            // Most are tried on both.
            if let Some(known) = cases.iter_mut().find(|case| case.name.ends_with(&format!("250-{name}"))) {
                known.expected = of(crime);
                continue;
            }
            let only = match backend {
                Backend::Kvm => of(crime).not_process("an ioctl of KVM's that only its monitor could make"),
                Backend::Process => {
                    of(crime).not_pvm("an ioctl of a listener's, which KVM's monitor has not")
                }
            };
            cases.push(case(250, &name, only, move |host| commit(host, crime)));
        }
    }
    cases
}

fn of(crime: &Crime) -> Expected {
    let outcome = match crime.expected {
        Crimes::Killed => KILLED,
        Crimes::Disk => &["killed by the filter, goes on with a disk"],
        Crimes::Allowed => GOES_ON,
    };
    all(outcome).not_lab(NO_LAB)
}

fn commit(host: Host, crime: &Crime) -> Got {
    let fate = |disk| match breakout::commit(host.backend(), disk, crime) {
        Fate::Killed(signal) if signal == Signal::SYS.as_raw() => "killed by the filter".to_owned(),
        Fate::RanOn(0) => "goes on".to_owned(),
        other @ (Fate::Killed(_) | Fate::RanOn(_) | Fate::NotStarted) => format!("{other:?}"),
    };
    let (without, with) = (fate(false), fate(true));
    Ok(if without == with { without } else { format!("{without}, {with} with a disk") })
}

fn without_kvm(host: Host, script: &str) -> Got {
    if !is_root() {
        return Ok(NOT_ROOT.to_owned());
    }
    let run = Ringwall::under(&["unshare", "--mount", "sh", "-ec", script]).args(["run"]);
    in_one_line(&run.image(host.backend(), App::Attack.image()).guest(&["nop"]).run())
}

fn every_thread(host: Host) -> Got {
    let running = guest::start(host, &["--grace", "0.2"], &["loop"]);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut open = Vec::new();
    for process in running.children() {
        let tasks = format!("/proc/{}/task", process.as_raw_nonzero());
        for task in std::fs::read_dir(&tasks).map_err(|error| error.to_string())?.flatten() {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let closed = status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1");
            if !closed && !is_the_kernels(&task.path()) {
                open.push(task.path().display().to_string());
            }
        }
    }
    running.signal(Signal::TERM);
    let _ = running.wait();
    Ok(if open.is_empty() { "each".to_owned() } else { format!("not {}", open.join(", ")) })
}

/// Whether a thread is KVM's worker, which the kernel has made for this process and which executes nothing of it.
fn is_the_kernels(task: &Path) -> bool {
    /// `PF_USER_WORKER` (include/linux/sched.h, v6.12).
    const WORKER: u64 = 0x4000;
    let stat = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
    // The flags are the seventh field after the name in parentheses (proc_pid_stat(5)).
    let flags =
        stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & WORKER != 0)
}

/// Runs an attack on a kernel that seems to lack something.
fn lacking(host: Host, lacking: Lacking, options: &[&str], words: &[&str]) -> ::tests::Run {
    let this = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
    let run = Ringwall::under(&[&this, "--lacking", lacking.word()]).args(["run"]).args(options);
    run.image(host.backend(), App::Attack.image()).guest(words).run()
}

/// The wall clock of a monitor that reads a timer, since it must believe that the host's clocks take a system call.
fn by_timer(host: Host) -> Got {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let before = now();
    let run = lacking(host, Lacking::ClockProbe, &[], &["gate", "7", "1"]);
    let after = now();
    guest::check(&run)?;
    let ns = words::program(&run);
    let ns = ns.strip_prefix("gives 0x").and_then(|digits| u128::from_str_radix(digits, 16).ok());
    Ok(match ns {
        Some(ns) if (before..=after).contains(&ns) => "the time".to_owned(),
        ns => format!("{ns:?}, not from {before} to {after}: {}", words::program(&run)),
    })
}
