//! Running inputs again.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::patience::Patience;
use super::{Options, finding};
use crate::fuzz::model::Violation;
use crate::fuzz::target;
use crate::fuzz::world::Depth;

/// How an input ends in a process of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Clean,
    /// With a violation.
    Violation,
    /// By a signal or a panic.
    Crash(String),
    /// Not at all.
    Hang,
}

/// Runs the inputs of a file in this process. `before` hears of each before it is run.
///
/// # Errors
/// What the host says.
pub fn run(name: &str, bytes: &[u8], mut before: impl FnMut()) -> io::Result<Result<(), Violation>> {
    let mut target = target::open(name)?;
    for input in finding::split(bytes) {
        before();
        if let Err(violation) = target.run(&input, Depth::EachStep) {
            return Ok(Err(violation));
        }
    }
    Ok(Ok(()))
}

/// Runs the inputs of a file in a process of their own, and says how that ends and how many were begun. It hangs if it has run or slept
/// for longer than `limit`.
///
/// # Errors
/// What the host says.
pub fn probe(options: &Options, file: &Path, limit: Duration) -> io::Result<(Ending, usize)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["fuzz", "--target", &options.target, "--probe"])
        .arg(file)
        .args(&options.extra)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut patience = Patience::new(child.id());
    loop {
        let ended = child.try_wait()?;
        let ending = match ended {
            Some(status) => ending(status),
            None if patience.spent() > limit => {
                child.kill()?;
                child.wait()?;
                Ending::Hang
            }
            None => {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
        };
        // A byte for each input: far less than a pipe holds.
        let mut begun = Vec::new();
        if let Some(out) = &mut child.stdout {
            out.read_to_end(&mut begun)?;
        }
        return Ok((ending, begun.len()));
    }
}

/// What an exit status of a replay or of a worker says.
#[must_use]
pub fn ending(status: ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ending::Clean,
        (Some(1), _) => Ending::Violation,
        (Some(code), _) => Ending::Crash(format!("exit code {code}")),
        (None, signal) => Ending::Crash(match signal.unwrap_or(0) {
            libc::SIGSEGV => "segmentation fault".to_owned(),
            libc::SIGBUS => "bus error".to_owned(),
            libc::SIGABRT => "abort, as after a panic".to_owned(),
            number => format!("signal {number}"),
        }),
    }
}
