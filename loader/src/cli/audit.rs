//! `ringwall audit`.

use std::path::{Path, PathBuf};

use hvcall::ExitCode;
use loader::audit::{Report, audit};
use loader::image::Image;
use loader::symbols::{Symbols, SymbolsError};

use super::error::CommandError;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 0 if every check passes, with 65 if one fails or the file cannot be read.

Examples:
  ringwall audit target/ringwall/images/hello.img
  ringwall audit web.img --symbols web.debug --json")]
pub(crate) struct Arguments {
    /// Image file, or any other
    image: PathBuf,
    /// Symbol side file [default: the one beside the image, if it is of the same build]
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let bytes = loader::image::read(&arguments.image)?;
    let symbols = match &arguments.symbols {
        Some(file) => Some(Symbols::open(&arguments.image, file)?),
        None => beside(&arguments.image),
    };
    let report = audit(&bytes, symbols.as_ref().map(Symbols::bytes));
    super::print(&if arguments.json { format!("{}\n", report.to_json()) } else { report.to_string() });
    Ok(report.exit_code())
}

/// What `run --audit` does before a machine is made.
pub(super) fn require(image: &Image, path: &Path) -> Result<(), CommandError> {
    let symbols = beside(path);
    let report = audit(image.bytes(), symbols.as_ref().map(Symbols::bytes));
    if report.passed { Ok(()) } else { Err(CommandError::Audit(failures(&report))) }
}

/// The failed checks in one line.
fn failures(report: &Report) -> String {
    let failures = report.failures().map(|check| format!("{} ({})", check.name, check.evidence));
    failures.collect::<Vec<_>>().join("; ")
}

/// Names only add to what an audit says: a side file that cannot be used is as good as none, but for the file of another build,
/// which somebody will wonder about.
fn beside(image: &Path) -> Option<Symbols> {
    Symbols::for_image(image).unwrap_or_else(|error| {
        if matches!(error, SymbolsError::Mismatch { .. }) {
            loader::say!("ringwall: without symbols: {error}");
        }
        None
    })
}
