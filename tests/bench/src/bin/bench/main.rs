//! `scripts/bench KIND`: Ringwall and the bare floor in turn, medians and ratios.

mod audit;
mod boot;
mod hypercall;
mod memory;
mod network;

use std::process::ExitCode;

use bench::chart;
use bench::result::{self, Comparison};
use clap::Parser;

/// Measure Ringwall beside the bare floor, in turn and in one run
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure
    kind: Kind,
    /// What runs the guest
    #[arg(long, default_value = "kvm")]
    backend: Backend,
    /// Print a JSON list of {name, unit, ours, reference, ratio}
    #[arg(long)]
    json: bool,
    /// Write KIND.json, KIND.md and a chart, KIND.svg, into this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<std::path::PathBuf>,
    /// Of `net`, measure this part only
    #[arg(long)]
    only: Option<network::Part>,
    /// Rounds; each gives one number for either side [default: 200; 5 for the network]
    #[arg(long)]
    rounds: Option<usize>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// `hello` from exec to exit, and the loader's memory
    Boot,
    /// One hypercall, and the monitor's own part of it
    Hypercall,
    /// Frames, TCP in bulk, idle connections, idling and waking up, the `user` network (as root)
    Net,
    /// `web` and nginx under wrk (as root)
    Http,
    /// `lb` and HAProxy under wrk (as root)
    Lb,
    /// `ringwall audit` of a large image
    Audit,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Hypercall => "hypercall",
            Self::Net => "net",
            Self::Http => "http",
            Self::Lb => "lb",
            Self::Audit => "audit",
        }
    }

    const fn rounds(self) -> usize {
        match self {
            Self::Boot | Self::Hypercall => 200,
            Self::Net | Self::Http | Self::Lb => network::ROUNDS,
            Self::Audit => 10,
        }
    }
}

/// A backend, with the floor that it is measured against.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Backend {
    /// A virtual machine; a bare one
    Kvm,
    /// A process; an empty program, a bare notification loop
    Process,
}

impl Backend {
    const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Process => "process",
        }
    }
}

/// Anything that keeps a benchmark from giving a number.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).and_then(|rows| show(&arguments, &rows)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(arguments: &Arguments, rows: &[Comparison]) -> Result<(), Failure> {
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)?;
        let (kind, backend) = (arguments.kind.name(), arguments.backend.name());
        let title = format!("scripts/bench {kind} --backend {backend}");
        std::fs::write(folder.join(format!("{kind}.json")), serde_json::to_string_pretty(rows)?)?;
        std::fs::write(folder.join(format!("{kind}.md")), result::markdown(&title, rows))?;
        svg::save(folder.join(format!("{kind}.svg")), &chart::ratios(&title, rows))?;
    }
    Ok(result::print(rows, arguments.json)?)
}

fn measure(arguments: &Arguments) -> Result<Vec<Comparison>, Failure> {
    let rounds = arguments.rounds.unwrap_or(arguments.kind.rounds()).max(1);
    match arguments.kind {
        Kind::Boot => {
            Ok(vec![boot::measure(arguments.backend, rounds)?, memory::measure(arguments.backend)?])
        }
        Kind::Hypercall => hypercall::measure(arguments.backend, rounds),
        Kind::Net => network::measure(arguments.backend, rounds, arguments.only),
        Kind::Http => network::measure_http(arguments.backend, rounds),
        Kind::Lb => network::measure_lb(arguments.backend, rounds),
        Kind::Audit => audit::measure(rounds),
    }
}

/// Builds an appliance of this workspace.
fn image(name: &str) -> Result<std::path::PathBuf, Failure> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps").join(name);
    let options = loader::build::BuildOptions { quiet: true, ..Default::default() };
    Ok(loader::build::build(&path, &options)?.image)
}

/// A program that cargo put beside this one.
fn beside(name: &str) -> Result<std::path::PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not built: use scripts/bench", path.display()).into())
    }
}
