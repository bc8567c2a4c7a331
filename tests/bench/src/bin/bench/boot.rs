//! From exec to exit.

use std::process::{Command, Stdio};
use std::time::Instant;

use bench::result::Comparison;
use bench::statistics::median;

use crate::{Backend, Failure, beside, image};

/// Runs `ringwall run hello` and the bare program in turn.
pub(crate) fn measure(backend: Backend, rounds: usize) -> Result<Comparison, Failure> {
    let hello = image("hello")?;
    let mut ringwall = Command::new(beside("ringwall")?);
    ringwall.args(["run", "--backend", backend.name()]).arg(hello).stdout(Stdio::null());
    let (name, floor) = match backend {
        Backend::Kvm => ("hello from exec to exit / bare machine", "bare"),
        Backend::Process => ("hello from exec to exit / empty program", "empty"),
    };
    let mut bare = Command::new(beside(floor)?);
    let (mut ours, mut reference, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // One round to warm the page cache.
    for round in 0..=rounds {
        let pair = (time(&mut ringwall)?, time(&mut bare)?);
        if round > 0 {
            ours.push(pair.0);
            reference.push(pair.1);
            ratios.push(pair.0 / pair.1);
        }
    }
    Ok(Comparison {
        name,
        unit: "us",
        ours: median(&mut ours),
        reference: median(&mut reference),
        ratio: median(&mut ratios),
    })
}

fn time(command: &mut Command) -> Result<f64, Failure> {
    let start = Instant::now();
    let status = command.status()?;
    let elapsed = start.elapsed();
    if status.success() {
        Ok(elapsed.as_secs_f64() * 1e6)
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}
