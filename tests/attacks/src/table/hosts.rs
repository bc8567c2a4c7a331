//! Sections 5 and 6 by the whole program: memory, floods of frames, disks and interfaces that fail while it runs.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::time::{Duration, Instant};

use ::tests::pattern::Layout;
use ::tests::{App, Ringwall, Running, in_own_network, is_root, processes_in_group};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use super::files::in_one_line;
use super::resources::{BOUND, GRACE_S, obeys_sigterm};
use crate::case::{Case, Expected, Got, all, case};
use crate::guest;
use crate::host::Host;
use crate::soak::{self, Random, Watch};

const NO_LAB: &str = "there is no shell, and what is tested does not meet the processor";
/// How often a writer is ended.
const MOMENTS: usize = 6;
/// What a user who is not root gets to see instead of a case that makes interfaces or mounts.
const NOT_ROOT: &str = "only root may";

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let expected = |outcomes| all(outcomes).not_lab(NO_LAB);
    // Whoever is not root sees why nothing was done.
    let root = |outcomes: &'static [&'static str]| expected(outcomes);
    vec![
        case(216, "sigterm-while-memory-is-dirtied", expected(&["exit 143 in time"]), |host| {
            obeys_sigterm(host, &["touch", "dirty-for-ever", "heap+0x8000"])
        }),
        case(
            218,
            "frames-that-nobody-reads",
            root(&["memory flat, exit 0 in time", "memory flat, exit 143 in time", NOT_ROOT]),
            flood,
        ),
        case(228, "disk-whose-flush-fails", root(&["exit 1, input/output error", NOT_ROOT]), |host| {
            // A device on a file that its file system has no room for: writes are taken, and lost later.
            on_mount(
                host,
                "size=1M",
                "truncate -s 8M $M/disk; L=$(losetup --find --show $M/disk); \
                 \"$0\" run --block data=$L \"$@\" && S=0 || S=$?; losetup --detach $L; exit $S",
            )
        }),
        case(227, "disk-on-a-full-file-system", root(&["exit 1, no space left", NOT_ROOT]), |host| {
            on_mount(host, "size=1M", "truncate -s 8M $M/disk; exec \"$0\" run --block data=$M/disk \"$@\"")
        }),
        case(230, "disk-that-is-never-mapped-and-cut-off", expected(&["not mapped, exit 1"]), cut_off),
        interface("down", &["link set tap0 down"]),
        interface("down-and-up", &["link set tap0 down", "link set tap0 up"]),
        interface("with-another-mtu", &["link set tap0 mtu 68", "link set tap0 mtu 9000"]),
        case(235, "interface-that-is-removed", root(ENDS), |host| on_tap(host, &["link del tap0"])),
        case(239, "sigterm-during-disk-writes", expected(&["whole sectors"]), |host| {
            writes_cut_short(host, Signal::TERM)
        }),
        case(240, "sigkill-during-disk-writes", expected(&["whole sectors"]), |host| {
            writes_cut_short(host, Signal::KILL)
        }),
        case(242, "disk-of-another-monitor", expected(&["exit 69, one line"]), |host| locked(host, "")),
        case(242, "disk-of-another-monitor-to-read", expected(&["exit 69, one line"]), |host| {
            locked(host, ",ro")
        }),
    ]
}

const ENDS: &[&str] = &["goes on, ends in time", NOT_ROOT];

fn interface(label: &str, lines: &'static [&'static str]) -> Case {
    let expected: Expected = all(ENDS).not_lab(NO_LAB);
    case(236, &format!("interface-{label}"), expected, move |host| on_tap(host, lines))
}

/// Carries something out in a network of its own, with an interface.
fn with_tap(attack: impl FnOnce() -> Got + Send) -> Got {
    if !is_root() {
        return Ok(NOT_ROOT.to_owned());
    }
    let mut got = Err("no network of its own".to_owned());
    in_own_network(|| got = soak::make_tap().and_then(|()| attack()));
    got
}

/// More frames than queues hold, first while nobody reads, since everything is stopped, then while the guest does.
fn flood(host: Host) -> Got {
    with_tap(|| {
        let net = format!("net=tap:{},ip=10.77.0.2/24", soak::TAP);
        let run = Ringwall::run_app(host.backend(), App::Web).args(["--net", &net]);
        let running = run.args(["--grace", GRACE_S]).start();
        let _ = running.stdout.line_with("paths on port 80");
        let mut random = Random(218);
        // Until the heap is as large as it gets.
        soak::flood(&mut random)?;
        std::thread::sleep(Duration::from_millis(300));
        let watch = Watch::new(&[running.pid()]);
        for signal in [Signal::STOP, Signal::CONT] {
            running.signal_all(signal);
            for _ in 0..5 {
                soak::flood(&mut random)?;
                watch.check()?;
            }
        }
        ends(running).map(|code| format!("memory flat, exit {code} in time"))
    })
}

/// An adversary whose interface suffers.
fn on_tap(host: Host, lines: &[&str]) -> Got {
    with_tap(|| {
        let disk = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        disk.as_file().set_len(1 << 20).map_err(|error| error.to_string())?;
        let (net, block) = (format!("net=tap:{}", soak::TAP), format!("data={}", disk.path().display()));
        let run = Ringwall::run_app(host.backend(), App::Adversary).args(["--grace", GRACE_S]);
        let running = run.args(["--net", &net, "--block", &block]).guest(&["235"]).start();
        let _ = running.stdout.line_with("adversary ");
        // Until it has touched all its memory.
        std::thread::sleep(Duration::from_secs(1));
        let watch = Watch::new(&[running.pid()]);
        for line in lines {
            soak::ip(line)?;
            std::thread::sleep(Duration::from_millis(50));
        }
        watch.check()?;
        let code = ends(running)?;
        Ok(if matches!(code, 0 | 143) { "goes on, ends in time".to_owned() } else { format!("exit {code}") })
    })
}

/// Asks a run to end and gives its exit code.
fn ends(running: Running) -> Result<i32, String> {
    let group = running.pid();
    running.signal(Signal::TERM);
    let asked = Instant::now();
    let run = running.wait();
    let took = asked.elapsed();
    guest::check(&run)?;
    if !processes_in_group(group).is_empty() {
        return Err("O1: a process is left".to_owned());
    }
    if took > BOUND {
        return Err(format!("O6: {took:?} after SIGTERM"));
    }
    Ok(run.code)
}

/// Runs `disk write` by a shell's line, in which `$M` is a new file system in memory.
fn on_mount(host: Host, options: &str, line: &str) -> Got {
    if !is_root() {
        return Ok(NOT_ROOT.to_owned());
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mount = folder.path().display();
    let script = format!("M={mount}; mount -t tmpfs -o {options} none $M; {line}");
    let run = Ringwall::under(&["unshare", "--mount", "sh", "-ec", &script]);
    let run = run.image(host.backend(), App::Disk.image()).guest(&["write"]).run();
    guest::check(&run)?;
    let said = [("input/output error", ", input/output error"), ("no space left", ", no space left")];
    let said = said.iter().find(|(what, _)| run.stdout.contains(what)).map_or("", |(_, short)| short);
    Ok(format!("exit {}{said}", run.code))
}

/// A disk of 64 MiB with its path.
fn large_disk() -> Result<tempfile::NamedTempFile, String> {
    let disk = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    disk.as_file().set_len(64 << 20).map_err(|error| error.to_string())?;
    Ok(disk)
}

fn writer(host: Host, disk: &tempfile::NamedTempFile) -> Running {
    let run = Ringwall::run_app(host.backend(), App::Disk).args(["--grace", GRACE_S]);
    let running = run.args(["--block", &format!("data={}", disk.path().display())]).guest(&["write"]).start();
    let _ = running.stdout.line_with("disk data:");
    running
}

/// No process maps the disk's file, and a guest whose disk is cut off while it writes or reads hears of it.
fn cut_off(host: Host) -> Got {
    let disk = large_disk()?;
    let code = writer(host, &disk).wait().code;
    if code != 0 {
        return Err(format!("cannot be written: exit {code}"));
    }
    let run = Ringwall::run_app(host.backend(), App::Disk);
    let block = format!("data={}", disk.path().display());
    let running = run.args(["--block", &block]).guest(&["verify"]).start();
    let _ = running.stdout.line_with("disk data:");
    running.signal_all(Signal::STOP);
    let name = disk.path().display().to_string();
    let maps = |pid: &rustix::process::Pid| {
        std::fs::read_to_string(format!("/proc/{}/maps", pid.as_raw_nonzero())).unwrap_or_default()
    };
    let mapped = processes_in_group(running.pid()).iter().any(|pid| maps(pid).contains(&name));
    disk.as_file().set_len(0).map_err(|error| error.to_string())?;
    running.signal_all(Signal::CONT);
    let run = running.wait();
    guest::check(&run)?;
    Ok(format!("{}, exit {}", if mapped { "mapped" } else { "not mapped" }, run.code))
}

/// Ends a guest that writes at several moments. Each sector is whole, written or not, and all are if the guest has been told so.
fn writes_cut_short(host: Host, signal: Signal) -> Got {
    let mut random = Random(239);
    for _ in 0..MOMENTS {
        let disk = large_disk()?;
        let running = writer(host, &disk);
        std::thread::sleep(Duration::from_micros(random.below(60_000)));
        let group = running.pid();
        if signal == Signal::KILL {
            running.signal_all(signal);
        } else {
            running.signal(signal);
        }
        let run = running.wait();
        // The parent is gone at once; what it leaves behind dies with it.
        let started = Instant::now();
        while !processes_in_group(group).is_empty() {
            if started.elapsed() > BOUND {
                return Err("O1: a process is left".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        check_sectors(disk.as_file(), run.stdout.contains("wrote and flushed"))?;
    }
    Ok("whole sectors".to_owned())
}

fn check_sectors(mut file: &File, flushed: bool) -> Result<(), String> {
    let layout = Layout::new(64 << 20, 512);
    let mut content = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut content)).map_err(|error| error.to_string())?;
    for (number, sector) in (0..).zip(content.chunks_exact(512)) {
        let empty = sector == [0; 512];
        // What is discarded in the end may hold anything before.
        let whole = || layout.is_discarded(number) || sector == layout.content(1, number);
        if !(empty && !flushed || whole()) {
            return Err(format!("O8: sector {number}: flushed {flushed}, empty {empty}"));
        }
    }
    Ok(())
}

/// A disk that somebody else has locked, as a monitor does.
fn locked(host: Host, mode: &str) -> Got {
    let disk = large_disk()?;
    flock(disk.as_file(), FlockOperation::LockExclusive).map_err(|errno| errno.to_string())?;
    let block = format!("data={}{mode}", disk.path().display());
    in_one_line(
        &Ringwall::run_app(host.backend(), App::Disk).args(["--block", &block]).guest(&["verify"]).run(),
    )
}
