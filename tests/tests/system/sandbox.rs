//! What a running monitor has left: the descriptors it uses, and no right to anything else.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal};
use tests::breakout::{self, Expected, Fate};
use tests::{App, Backend, Ringwall, Running, on_each_backend};

on_each_backend!(
    monitor_has_no_privilege_and_a_filter,
    monitor_holds_no_descriptor_that_it_does_not_use,
    inherited_descriptors_do_not_reach_the_monitor,
    closed_standard_descriptors_are_taken_by_nothing_else,
    system_calls_from_inside_a_closed_monitor_kill_it,
    missing_processor_is_refused,
    pinned_monitor_and_guest_run_on_that_processor,
    running_machine_may_use_all_processors_that_its_starter_may,
);

fn start(backend: Backend) -> (Running, Pid) {
    let running = Ringwall::run_app(backend, App::Crash).guest(&["ignore-term"]).start();
    let _ = running.stdout.line_with("crash: ignore-term");
    let monitor = running.children()[0];
    (running, monitor)
}

fn stop(running: &Running) {
    running.signal(Signal::TERM);
    running.signal(Signal::TERM);
}

/// Targets of a process's descriptors, sorted. `None` where this user may not look.
fn descriptors(pid: Pid) -> Option<Vec<String>> {
    let folder = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).ok()?;
    let target = |entry: fs::DirEntry| fs::read_link(entry.path()).map(|path| path.display().to_string());
    let mut targets: Vec<String> = folder.flatten().flat_map(target).collect();
    targets.sort();
    Some(targets)
}

fn monitor_has_no_privilege_and_a_filter(backend: Backend) {
    let (running, monitor) = start(backend);
    let status = fs::read_to_string(format!("/proc/{}/status", monitor.as_raw_nonzero())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name} in\n{status}")).to_owned()
    };
    assert_eq!(field("Seccomp"), "2", "a filter");
    assert_eq!(field("NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", monitor.as_raw_nonzero())).unwrap();
    for limit in ["Max core file size", "Max processes", "Max data size", "Max locked memory"] {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit)).unwrap();
        let values: Vec<&str> = line.split_whitespace().take(2).collect();
        assert_eq!(values, ["0", "0"], "{limit}");
    }
    stop(&running);
    let _ = running.wait().expect(143);
}

fn monitor_holds_no_descriptor_that_it_does_not_use(backend: Backend) {
    let (running, monitor) = start(backend);
    if let Some(held) = descriptors(monitor) {
        let count = |prefix: &str| held.iter().filter(|target| target.starts_with(prefix)).count();
        let vcpu = match backend {
            Backend::Kvm => "anon_inode:kvm-vcpu",
            Backend::Process => "anon_inode:seccomp notify",
        };
        // Console, standard error and the report; the vCPU; signals.
        assert_eq!((count("pipe:"), count(vcpu), count("anon_inode:[signalfd]")), (3, 1, 1), "{held:?}");
        assert_eq!(held.len(), 5, "{held:?}");
    } else {
        tests::skip("this user may not look into a process that cannot be dumped");
    }
    stop(&running);
    let _ = running.wait().expect(143);
}

/// A careless caller's open files are none of the guest's business.
fn inherited_descriptors_do_not_reach_the_monitor(backend: Backend) {
    let words = ["sh", "-c", "exec 7</etc/passwd 8>/dev/null; exec \"$0\" \"$@\""];
    let running = Ringwall::under(&words).args(["run"]).image(backend, App::Crash.image());
    let running = running.guest(&["ignore-term"]).start();
    let _ = running.stdout.line_with("crash: ignore-term");
    let held = descriptors(running.children()[0]).unwrap_or_default();
    assert!(!held.iter().any(|target| target == "/etc/passwd" || target == "/dev/null"), "{held:?}");
    stop(&running);
    let _ = running.wait().expect(143);
}

/// Or the console and what the monitor says would go to the next file that is opened.
fn closed_standard_descriptors_are_taken_by_nothing_else(backend: Backend) {
    let words = ["sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"];
    let running = Ringwall::under(&words).args(["run"]).image(backend, App::Crash.image());
    let running = running.guest(&["ignore-term"]).start();
    let deadline = Instant::now() + Duration::from_secs(10);
    while running.children().is_empty() {
        assert!(Instant::now() < deadline, "no monitor");
        thread::sleep(Duration::from_millis(5));
    }
    for standard in 0..3 {
        let target =
            fs::read_link(format!("/proc/{}/fd/{standard}", running.pid().as_raw_nonzero())).unwrap();
        assert_eq!(target, Path::new("/dev/null"), "{standard}");
    }
    stop(&running);
    let _ = running.wait().expect(143);
}

/// Every row: killed by the filter, and not otherwise; and those that a monitor needs are let through.
fn system_calls_from_inside_a_closed_monitor_kill_it(backend: Backend) {
    let mut wrong = Vec::new();
    for disk in [false, true] {
        for crime in breakout::all(backend) {
            let killed = match crime.expected {
                Expected::Killed => true,
                Expected::Disk => !disk,
                Expected::Allowed => false,
            };
            let expected = if killed { Fate::Killed(Signal::SYS.as_raw()) } else { Fate::RanOn(0) };
            let got = breakout::commit(backend, disk, crime);
            if got != expected {
                wrong.push(format!("{crime:?}, disk {disk}: {got:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn missing_processor_is_refused(backend: Backend) {
    Ringwall::run_app(backend, App::Hello).args(["--pin", "4000"]).run().expect(64).says_once("--pin 4000");
}

fn pinned_monitor_and_guest_run_on_that_processor(backend: Backend) {
    let words = ["--pin", "0", "--core-scheduling"];
    let running = Ringwall::run_app(backend, App::Crash).args(words).guest(&["ignore-term"]).start();
    let _ = running.stdout.line_with("crash: ignore-term");
    for process in running.children().into_iter().chain(running.guest()) {
        let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap();
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    }
    stop(&running);
    let _ = running.wait().expect(143);
}

/// A start stays on one processor. What comes afterwards does not.
fn running_machine_may_use_all_processors_that_its_starter_may(backend: Backend) {
    let wanted = processors_of(Path::new("/proc/thread-self"));
    let running = Ringwall::run_app(backend, App::Crash).guest(&["ignore-term"]).start();
    let _ = running.stdout.line_with("crash: ignore-term");
    let processes = [running.pid()].into_iter().chain(running.children()).chain(running.guest());
    let threads: Vec<_> = processes
        .flat_map(|process| fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).unwrap())
        .map(|thread| thread.unwrap().path())
        .collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    for thread in threads {
        while processors_of(&thread) != wanted {
            assert!(Instant::now() < deadline, "{}: {}", thread.display(), processors_of(&thread));
            thread::sleep(Duration::from_millis(5));
        }
    }
    stop(&running);
    let _ = running.wait().expect(143);
}

fn processors_of(thread: &Path) -> String {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap().to_owned()
}
