//! `ringwall doctor`.

use hvcall::ExitCode;

/// Say what this host offers, and what to do about what it lacks
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let report = loader::doctor::examine();
    super::print(&if arguments.json { format!("{}\n", report.to_json()) } else { report.to_string() });
    report.exit_code()
}
