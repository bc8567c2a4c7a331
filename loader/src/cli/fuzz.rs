//! `ringwall fuzz`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hvcall::ExitCode;
use loader::backend::choice::BackendChoice;
use loader::backend::kvm::GateChoice;
use loader::fuzz::engine::replay::Ending;
use loader::fuzz::engine::{self, Options, Summary, finding, minimize, replay, worker};
use loader::fuzz::model::Violation;
use loader::fuzz::target;
use loader::say;

use super::error::CommandError;

mod vm;

/// Something was found.
const FOUND: ExitCode = ExitCode(1);
/// Time that an input has when it is made smaller.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to fuzz
    #[arg(long, value_name = "NAME", default_value = "hypercall", value_parser = clap::builder::PossibleValuesParser::new(
        target::TARGETS.iter().map(|(name, help)| clap::builder::PossibleValue::new(name).help(help))))]
    target: String,
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Workers; as many as there are processors, if not said
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Where random numbers begin; new each time, if not said
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder for corpus and findings
    #[arg(long, value_name = "FOLDER", default_value = "ringwall-fuzz")]
    dir: PathBuf,
    /// Go on after a finding, and look for others of another kind
    #[arg(long)]
    keep_going: bool,
    /// Run a finding again and show what it does, call by call
    #[arg(long, value_name = "FILE", conflicts_with = "minimize")]
    replay: Option<PathBuf>,
    /// Make a finding as small as possible
    #[arg(long, value_name = "FILE")]
    minimize: Option<PathBuf>,
    /// Fuzz from inside a machine: a hostile guest runs the programs, and its calls go through two dispatchers that must agree
    #[arg(long)]
    vm: bool,
    /// With --vm: what runs the guest
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendChoice,
    /// With --vm: how the guest reaches the monitor
    #[arg(long, value_name = "GATE", default_value = "auto", value_parser = super::run::gate)]
    gate: GateChoice,
    /// With --vm: the hostile guest's image; built from apps/fuzzer, if not said
    #[arg(long, value_name = "FILE", requires = "vm")]
    image: Option<PathBuf>,
    /// With --vm: what programs are made of
    #[arg(long, value_enum, default_value_t)]
    mix: vm::MixChoice,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Switch a planted fault on
    #[cfg(feature = "planted")]
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    planted: Option<hvcall::planted::Fault>,
    /// Be a worker
    #[arg(long, hide = true, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Run the inputs of a file
    #[arg(long, hide = true, value_name = "FILE")]
    probe: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let options = options(arguments)?;
    #[cfg(feature = "planted")]
    if let Some(fault) = arguments.planted {
        hvcall::planted::switch_on(fault);
    }
    if let Some(current) = &arguments.worker {
        worker::work(&options, current)?;
        return Ok(ExitCode(0));
    }
    if let Some(file) = &arguments.probe {
        // The line's end flushes it.
        let begun = || super::print("\n");
        let result = replay::run(&options.target, &std::fs::read(file)?, begun)?;
        return Ok(if result.is_ok() { ExitCode(0) } else { FOUND });
    }
    if arguments.vm {
        return vm::run(arguments, &options);
    }
    if let Some(file) = &arguments.replay {
        return show(&options, file);
    }
    if let Some(file) = &arguments.minimize {
        return shrink(&options, file);
    }
    introduce(&options);
    let summary = engine::supervise(&options)?;
    if arguments.json {
        super::print(&format!("{}\n", summary.to_json(&options)));
    }
    conclude(&options, &summary);
    Ok(if summary.findings.is_empty() { ExitCode(0) } else { FOUND })
}

fn options(arguments: &Arguments) -> Result<Options, CommandError> {
    let usage = |text: &str| CommandError::Usage(text.to_owned());
    let time = arguments.seconds.map(Duration::try_from_secs_f64).transpose();
    let time = time.map_err(|_| usage("--seconds wants a time from now on, in seconds"))?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = arguments.jobs.unwrap_or(processors);
    if !(1..=256).contains(&jobs) {
        return Err(usage("--jobs wants a number from 1 to 256"));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.seed.unwrap_or_else(|| now.as_secs() << 20 | u64::from(now.subsec_micros()));
    Ok(Options {
        target: arguments.target.clone(),
        time,
        jobs,
        seed,
        dir: arguments.dir.clone(),
        keep_going: arguments.keep_going,
        extra: extra(arguments),
    })
}

/// What workers and replays are told, too.
#[cfg(feature = "planted")]
fn extra(arguments: &Arguments) -> Vec<String> {
    arguments.planted.map(|fault| format!("--planted={fault:?}")).into_iter().collect()
}

/// What workers and replays are told, too: nothing.
#[cfg(not(feature = "planted"))]
const fn extra(_: &Arguments) -> Vec<String> {
    Vec::new()
}

/// A fault by its name.
#[cfg(feature = "planted")]
fn fault(name: &str) -> Result<hvcall::planted::Fault, String> {
    use hvcall::planted::{Fault, MARKER};
    let named = |fault: &Fault| format!("{fault:?}") == name;
    let names = || Fault::ALL.map(|fault| format!("{fault:?}")).join(" ");
    Fault::ALL.into_iter().find(named).ok_or_else(|| format!("{MARKER}: {}", names()))
}

fn introduce(options: &Options) {
    let what = target::TARGETS.iter().find(|(name, _)| *name == options.target).map_or("", |(_, what)| what);
    let until = match options.time {
        Some(time) => format!("for {} s", time.as_secs_f64()),
        None => "until Ctrl-C".to_owned(),
    };
    say!("ringwall: fuzzing {}: {what}", options.target);
    say!(
        "  {until}{}, with {} workers from seed {}; corpus and findings in {}",
        if options.keep_going { "" } else { " or the first finding" },
        options.jobs,
        options.seed,
        options.dir.join(&options.target).display()
    );
    say!(
        "  this is generation and mutation; --vm runs the same from inside a machine, and in a clone of Ringwall's repository"
    );
    say!("  tests/fuzz is for `cargo +nightly fuzz`, which is guided by coverage and knows AddressSanitizer");
}

fn conclude(options: &Options, summary: &Summary) {
    let program = std::env::args().next().unwrap_or_else(|| "ringwall".to_owned());
    let more: String = options.extra.iter().map(|argument| format!(" {argument}")).collect();
    for finding in &summary.findings {
        let command = |act: &str| {
            format!("{program} fuzz --target {}{more} --{act} {}", options.target, finding.file.display())
        };
        say!("ringwall: found after {:.2} s: {}: {}", finding.seconds, finding.kind, finding.detail);
        say!("  file       {}", finding.file.display());
        say!("  reproduce  {}", command("replay"));
        say!("  minimize   {}", command("minimize"));
        if options.target == "hypercall" {
            let listing = listing_elsewhere(options, &finding.file);
            say!("{listing}");
        }
    }
    let nothing = if summary.findings.is_empty() { "; nothing was found" } else { "" };
    say!(
        "ringwall: {} runs, {} hypercalls, in {:.1} s ({:.0} runs per second of processor time){nothing}",
        summary.cases,
        summary.calls,
        summary.seconds,
        summary.cases as f64 / summary.cpu_seconds.max(1e-9)
    );
}

/// The listing of a finding, made by another process, which the finding may kill.
fn listing_elsewhere(options: &Options, file: &Path) -> String {
    let Ok(program) = std::env::current_exe() else { return String::new() };
    let output = std::process::Command::new("timeout")
        .arg("5")
        .arg(program)
        .args(["fuzz", "--target", &options.target, "--replay"])
        .arg(file)
        .args(&options.extra)
        .output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a file and tells what happens.
fn show(options: &Options, file: &Path) -> Result<ExitCode, CommandError> {
    let bytes = std::fs::read(file)?;
    let inputs = finding::split(&bytes);
    let result = match (&*options.target, &*inputs) {
        ("hypercall", [input]) => target::list(input, &mut |line| super::print(&format!("{line}\n")))?,
        _ => {
            super::print(&format!("{} inputs for {}\n", inputs.len(), options.target));
            replay::run(&options.target, &bytes, || {})?
        }
    };
    match result {
        Ok(()) => {
            super::print("nothing is wrong with it\n");
            Ok(ExitCode(0))
        }
        Err(violation) => {
            super::print(&format!("wrong: {violation}\n"));
            Ok(FOUND)
        }
    }
}

fn shrink(options: &Options, file: &Path) -> Result<ExitCode, CommandError> {
    let bytes = std::fs::read(file)?;
    let scratch = options.dir.join(format!(".minimize-{}", std::process::id()));
    std::fs::create_dir_all(&options.dir)?;
    let (before, _) = replay::probe(options, file, PROBE_LIMIT)?;
    if before == Ending::Clean {
        say!("ringwall: nothing is wrong with {}", file.display());
        return Ok(ExitCode(0));
    }
    let kind = |bytes: &[u8]| -> Option<Violation> { replay::run(&options.target, bytes, || {}).ok()?.err() };
    let violation = if before == Ending::Violation { kind(&bytes) } else { None };
    let small = minimize::minimize(&options.target, bytes.clone(), |candidate| match &violation {
        Some(violation) => kind(candidate).is_some_and(|other| other.kind == violation.kind),
        None => {
            std::fs::write(&scratch, candidate).is_ok()
                && replay::probe(options, &scratch, PROBE_LIMIT).is_ok_and(|(ending, _)| ending == before)
        }
    })?;
    let _ = std::fs::remove_file(&scratch);
    let target = file.with_extension("min");
    std::fs::write(&target, &small)?;
    say!("ringwall: {} bytes became {}: {}", bytes.len(), small.len(), target.display());
    let again = Options { dir: options.dir.clone(), ..options.clone() };
    let listing = listing_elsewhere(&again, &target);
    super::print(&listing);
    Ok(FOUND)
}
