//! Hours of random calls on hosts that fail: memory and descriptors stay flat, and a signal is obeyed whenever it comes.
//!
//! Two adversaries live all the time, one of them on a disk and a network that never stop failing. Others are started, lose
//! something that they live on, and are asked to end at a random moment.

mod passing;
mod trouble;
mod watch;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::{App, Ringwall, Running, in_own_network};

use crate::case::Got;
use crate::guest;
use crate::host::Host;
use trouble::Trouble;
pub(crate) use trouble::{TAP, flood, ip, make_tap};
pub(crate) use watch::{Watch, resident_kib};

/// What a run gets to end.
const GRACE_S: &str = "0.2";
/// Bytes of each disk.
const DISK_BYTES: u64 = 1 << 20;
/// How often memory and descriptors are printed.
const SAMPLE: Duration = Duration::from_mins(1);

/// Starts an adversary with a disk and a network, for so many rounds or until it hears of a shut-down.
pub(crate) fn adversary(host: Host, seed: u64, rounds: Option<u64>) -> Result<Running, String> {
    let disk = disk()?;
    let (seed, rounds) = (seed.to_string(), rounds.map(|rounds| rounds.to_string()));
    let words: Vec<&str> = std::iter::once(seed.as_str()).chain(rounds.as_deref()).collect();
    let running = started(Ringwall::new(), host, "net=user", disk.path()).guest(&words).start();
    // Its name may go as soon as it is open.
    let _ = running.stdout.line_with("adversary ");
    Ok(running)
}

/// The command that starts an adversary, but for its seed.
fn started(program: Ringwall, host: Host, net: &str, disk: &std::path::Path) -> Ringwall {
    let block = format!("data={}", disk.display());
    let run = program.args(["run"]).image(host.backend(), App::Adversary.image());
    run.args(["--grace", GRACE_S, "--net", net, "--block", &block])
}

/// A new disk.
fn disk() -> Result<tempfile::NamedTempFile, String> {
    let disk = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    disk.as_file().set_len(DISK_BYTES).map_err(|error| error.to_string())?;
    Ok(disk)
}

/// Attacks for so long.
pub(crate) fn soak(host: Host, time: Duration) -> Got {
    if !tests::is_root() {
        eprintln!("soak: only root may make interfaces and file systems: none of them fails");
        return attack(host, time, false);
    }
    let mut got = Err("no network of its own".to_owned());
    in_own_network(|| got = attack(host, time, true));
    got
}

fn attack(host: Host, time: Duration, root: bool) -> Got {
    let started = Instant::now();
    let mut random = Random(0x1234_5678);
    let quiet = adversary(host, 0, None)?;
    let mut trouble = Trouble::new(host, root)?;
    std::thread::sleep(Duration::from_secs(1));
    let watch = Watch::new(&[quiet.pid(), trouble.group()]);
    let (mut seed, mut longest, mut sampled) = (2, Duration::ZERO, None::<Instant>);
    while started.elapsed() < time {
        if time > SAMPLE && sampled.is_none_or(|last| last.elapsed() >= SAMPLE) {
            eprintln!("{:>5} s: {}", started.elapsed().as_secs(), watch.sample());
            sampled = Some(Instant::now());
        }
        trouble.make(&mut random)?;
        longest = passing::one(host, seed, root, &mut random)?.max(longest);
        watch.check()?;
        seed += 1;
    }
    let last = watch.sample();
    let faults = trouble.count();
    for steady in [quiet, trouble.into_running()] {
        steady.signal(Signal::TERM);
        let run = steady.wait();
        guest::check(&run)?;
        if !matches!(run.code, 0 | 143) {
            return Err(format!("O1: exit {}: {}", run.code, run.stderr));
        }
    }
    let seconds = started.elapsed().as_secs();
    eprintln!(
        "soak on {host}: {seconds} s, {seed} adversaries, {faults} host faults of a steady one, at most {longest:?} from SIGTERM to the end\n\
         first {}\nlast  {last}",
        watch.first()
    );
    Ok("flat, and every signal obeyed".to_owned())
}

/// Numbers that differ from round to round and are the same in every soak (a linear congruential generator, Knuth's).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Below `limit`.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
