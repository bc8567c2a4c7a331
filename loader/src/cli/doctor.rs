//! `ringwall doctor`.

use hvcall::ExitCode;
use loader::doctor::sandbox;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print instead which system calls each process of a running appliance may make, read from its filter
    #[arg(long)]
    sandbox: bool,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.sandbox {
        let processes = sandbox::processes(loader::sandbox::clock_takes_a_call());
        super::print(&if arguments.json {
            format!("{}\n", sandbox::to_json(&processes))
        } else {
            processes.iter().map(ToString::to_string).collect()
        });
        return ExitCode(0);
    }
    let report = loader::doctor::examine();
    super::print(&if arguments.json { format!("{}\n", report.to_json()) } else { report.to_string() });
    report.exit_code()
}
