//! Adversaries that lose something and are asked to end, at random moments.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::{Ringwall, Running, processes_in_group};

use super::{Random, disk, started, trouble};
use crate::guest;
use crate::host::Host;

/// What a run may need beyond its grace period on a busy machine.
const BOUND: Duration = Duration::from_secs(4);
/// The interface of one that has its interface taken away.
const TAP: &str = "tap1";

/// What an adversary loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// The disk's file is cut off.
    Disk,
    /// The process of its network is killed.
    Helper,
    /// The monitor is stopped and hears nothing.
    Monitor,
    /// The reader of the console is a device that is full.
    Console,
    /// Its interface is taken away.
    Interface,
    /// The file system of its disk has room for half of it.
    Room,
}

/// Starts one and ends it. Gives the time from SIGTERM to the end.
pub(super) fn one(host: Host, seed: u64, root: bool, random: &mut Random) -> Result<Duration, String> {
    let all =
        [Loss::Nothing, Loss::Disk, Loss::Helper, Loss::Monitor, Loss::Console, Loss::Interface, Loss::Room];
    let few = if root { all.len() } else { all.len() - 2 };
    let loss = all[usize::try_from(random.below(few as u64)).unwrap_or(0)];
    let told = |what: String| format!("seed {seed}, loss of {loss:?}: {what}");
    let disk = disk()?;
    let running = start(host, seed, loss, disk.path())?;
    std::thread::sleep(Duration::from_micros(random.below(250_000)));
    lose(&running, loss, disk.as_file())?;
    std::thread::sleep(Duration::from_micros(random.below(250_000)));
    let group = running.pid();
    running.signal(Signal::TERM);
    let asked = Instant::now();
    let run = running.wait();
    let took = asked.elapsed();
    guest::check(&run).map_err(told)?;
    if took > BOUND || !matches!(run.code, 0 | 143) {
        return Err(told(format!("O6: exit {} {took:?} after SIGTERM: {}", run.code, run.stderr)));
    }
    if !processes_in_group(group).is_empty() {
        return Err(told("O1: a process is left".to_owned()));
    }
    Ok(took)
}

fn start(host: Host, seed: u64, loss: Loss, disk: &Path) -> Result<Running, String> {
    let seed = seed.to_string();
    let in_shell = |words: &[&str], net: &str, disk: &Path| {
        started(Ringwall::under(words), host, net, disk).guest(&[&seed]).start()
    };
    let running = match loss {
        Loss::Console => {
            // Nothing to wait for: not a word arrives.
            return Ok(in_shell(&["sh", "-c", "exec \"$0\" \"$@\" >/dev/full"], "net=user", disk));
        }
        Loss::Interface => {
            trouble::ip(&format!("tuntap add dev {TAP} mode tap"))?;
            trouble::ip(&format!("link set {TAP} up"))?;
            in_shell(&[], &format!("net=tap:{TAP}"), disk)
        }
        Loss::Room => {
            let script =
                "mount -t tmpfs -o size=512k none /mnt; truncate -s 1M /mnt/disk; exec \"$0\" \"$@\"";
            in_shell(&["unshare", "--mount", "sh", "-ec", script], "net=user", Path::new("/mnt/disk"))
        }
        Loss::Nothing | Loss::Disk | Loss::Helper | Loss::Monitor => in_shell(&[], "net=user", disk),
    };
    let _ = running.stdout.line_with("adversary ");
    Ok(running)
}

fn lose(running: &Running, loss: Loss, disk: &std::fs::File) -> Result<(), String> {
    // Helpers are older than the monitor.
    let children = running.children();
    let kill = |pid: Option<&rustix::process::Pid>, signal| {
        pid.map_or(Ok(()), |&pid| rustix::process::kill_process(pid, signal))
            .map_err(|errno| format!("{loss:?}: {errno}"))
    };
    match loss {
        Loss::Disk => disk.set_len(0).map_err(|error| error.to_string()),
        Loss::Helper => kill(children.first(), Signal::KILL),
        Loss::Monitor => kill(children.last(), Signal::STOP),
        Loss::Interface => trouble::ip(&format!("link del {TAP}")),
        Loss::Nothing | Loss::Console | Loss::Room => Ok(()),
    }
}
