//! The command line: one file per subcommand, thin.

mod audit;
mod build;
mod devices;
mod doctor;
mod error;
mod fuzz;
mod key;
mod new;
mod nic;
pub(crate) mod panic;
mod run;
mod size;

use std::io::Write as _;

use clap::{Parser, Subcommand};
use hvcall::ExitCode;

/// Build hardened appliances and run them in a virtual machine that has no ring 0.
#[derive(Debug, Parser)]
#[command(name = "ringwall", version, after_help = EXIT_STATUS, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Arguments),
    Build(build::Arguments),
    Audit(audit::Arguments),
    Run(Box<run::Arguments>),
    Key(key::KeyArguments),
    Sign(key::SignArguments),
    Verify(key::VerifyArguments),
    Doctor(doctor::Arguments),
    Fuzz(Box<fuzz::Arguments>),
}

const EXIT_STATUS: &str = "\
Exit status:
  0..63  the appliance's own
  64     wrong use of the command line
  65     bad image
  69     the host lacks something
  70     bug in the monitor
  71     error on the host
  80     the appliance panicked
  81     the appliance faulted
  82     triple fault
  83     the appliance broke the hypercall contract
  84     time limit
  128+N  ended by signal N";

/// Writes to standard output. Nobody is left to tell if it is closed.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Runs the command line and says how it ended.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::USAGE } else { ExitCode(0) };
            // Nobody is left to tell if standard output is closed.
            let _ = error.print();
            return code;
        }
    };
    let result = match cli.command {
        Command::New(arguments) => new::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Run(arguments) => run::run(*arguments),
        Command::Key(arguments) => key::make(&arguments),
        Command::Sign(arguments) => key::sign(&arguments),
        Command::Verify(arguments) => key::verify(&arguments),
        Command::Doctor(arguments) => Ok(doctor::run(&arguments)),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        loader::say!("ringwall: {error}");
        error.exit_code()
    })
}
