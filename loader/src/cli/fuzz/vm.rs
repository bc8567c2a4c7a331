//! `ringwall fuzz --vm`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hvcall::ExitCode;
use loader::backend::choice;
use loader::build::{BuildOptions, build};
use loader::fuzz::engine::{Options, finding, worker};
use loader::fuzz::vm::{self, Mix, Session, Tally, VmError};
use loader::image::Image;
use loader::say;

use super::{Arguments, FOUND};
use crate::cli::error::CommandError;

/// What programs are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MixChoice {
    /// Scenes of all kinds
    #[default]
    Scenes,
    /// Full batches of cheap calls: how many calls per second there can be
    Bursts,
    /// Cheap calls one by one: how many traps per second there can be
    Singles,
}

pub(super) fn run(arguments: &Arguments, options: &Options) -> Result<ExitCode, CommandError> {
    let image = Image::open(&image(arguments)?)?;
    let (backend, why) = choice::choose(arguments.backend, arguments.gate)?;
    if let Some(why) = why {
        say!("ringwall: backend process: {why}");
    }
    let start = Instant::now();
    let session = Session {
        backend,
        gate: arguments.gate,
        mix: match arguments.mix {
            MixChoice::Scenes => Mix::Scenes,
            MixChoice::Bursts => Mix::Bursts,
            MixChoice::Singles => Mix::Singles,
        },
        most_programs: None,
        until: options.time.and_then(|time| start.checked_add(time)),
        seed: options.seed,
    };
    if let Some(file) = &arguments.replay {
        let programs = finding::split(&std::fs::read(file)?);
        return Ok(match vm::replay(&image, &session, &programs) {
            Ok(_) => {
                super::super::print("nothing is wrong with it\n");
                ExitCode(0)
            }
            Err(error) => {
                super::super::print(&format!("wrong: {error}\n"));
                FOUND
            }
        });
    }
    say!("ringwall: fuzzing from inside a machine ({}), seed {}", backend_name(backend), options.seed);
    let mut last = Tally::default();
    let mut shown = start;
    let result = vm::fuzz(&image, &session, &mut |tally| {
        last = *tally;
        let pause = if std::io::stderr().is_terminal() { 500 } else { 10_000 };
        if shown.elapsed() >= Duration::from_millis(pause) {
            shown = Instant::now();
            show(&line(tally, start));
        }
    });
    conclude(arguments, options, result, &last, start)
}

const fn backend_name(backend: choice::Backend) -> &'static str {
    match backend {
        choice::Backend::Kvm => "kvm",
        choice::Backend::Process => "process",
    }
}

fn conclude(
    arguments: &Arguments,
    options: &Options,
    result: Result<Tally, VmError>,
    last: &Tally,
    start: Instant,
) -> Result<ExitCode, CommandError> {
    let (tally, found) = match result {
        Ok(tally) => (tally, None),
        Err(error) => (*last, Some(error)),
    };
    show(&line(&tally, start));
    say!("");
    if arguments.json {
        super::super::print(&json(&tally, start, found.is_some()));
    }
    let Some(error) = found else { return Ok(ExitCode(0)) };
    say!("ringwall: found: {error}");
    if let VmError::Violation(violation, programs) = &error {
        let folder = options.dir.join("vm").join("findings");
        let file =
            finding::save(&folder, violation.kind, &finding::join(programs.iter().map(Vec::as_slice)))?;
        say!("  file       {}", file.display());
        say!("  reproduce  ringwall fuzz --vm --replay {}", file.display());
    }
    Ok(FOUND)
}

fn rates(tally: &Tally, start: Instant) -> [f64; 4] {
    let (wall, cpu) = (start.elapsed().as_secs_f64(), worker::cpu_seconds().max(1e-9));
    let (calls, traps) = (tally.calls as f64, tally.traps as f64);
    [calls / wall, traps / wall, calls / cpu, traps / cpu]
}

fn line(tally: &Tally, start: Instant) -> String {
    let [calls, traps, calls_cpu, traps_cpu] = rates(tally, start);
    format!(
        "{:.0} s  {calls:.0} calls/s  {traps:.0} traps/s  ({calls_cpu:.0} and {traps_cpu:.0} per second of processor time)  \
         {} calls  {} programs  {} machines",
        start.elapsed().as_secs_f64(),
        tally.calls,
        tally.programs,
        tally.boots,
    )
}

fn json(tally: &Tally, start: Instant, found: bool) -> String {
    let [calls, traps, calls_cpu, traps_cpu] = rates(tally, start);
    let value = serde_json::json!({
        "calls": tally.calls, "traps": tally.traps, "programs": tally.programs, "machines": tally.boots,
        "unsure": tally.unsure, "spoiled": tally.spoiled, "seconds": start.elapsed().as_secs_f64(), "cpu_seconds": worker::cpu_seconds(),
        "calls_per_second": calls, "traps_per_second": traps,
        "calls_per_cpu_second": calls_cpu, "traps_per_cpu_second": traps_cpu, "found": found,
    });
    format!("{value}\n")
}

fn show(line: &str) {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    } else {
        say!("{line}");
    }
}

/// The hostile guest's image.
fn image(arguments: &Arguments) -> Result<PathBuf, CommandError> {
    if let Some(image) = &arguments.image {
        return Ok(image.clone());
    }
    let here = std::env::current_dir()?;
    let source =
        here.ancestors().map(|folder| folder.join("apps/fuzzer")).find(|app| app.join("Cargo.toml").exists());
    let Some(source) = source else {
        return Err(CommandError::Usage(
            "--vm needs the hostile guest's image: run it in a clone of Ringwall's repository, which has apps/fuzzer, or name the \
             image with --image (`ringwall build apps/fuzzer` makes it)"
                .to_owned(),
        ));
    };
    built(&source)
}

fn built(source: &Path) -> Result<PathBuf, CommandError> {
    Ok(build(source, &BuildOptions { quiet: true, ..BuildOptions::default() })?.image)
}
