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
pub(crate) mod prepare;
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

/// Each describes its options only once it was named, or every start would pay for those of all.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Make a new appliance crate
    New(new::Arguments),
    /// Build an appliance crate into a sealed image
    Build(build::Arguments),
    /// Check every hardening property of an image, with evidence
    Audit(audit::Arguments),
    /// Run an appliance: a sealed image, or a crate folder that is built first
    Run(Box<run::Arguments>),
    /// Make a key pair for signing images: NAME.key, which stays secret, and NAME.pub
    Key(key::KeyArguments),
    /// Sign an image, into IMAGE.minisig beside it
    Sign(key::SignArguments),
    /// Check an image's signature, as `ringwall run --require-key` does
    Verify(key::VerifyArguments),
    /// Say what this host offers, and what to do about what it lacks
    Doctor(doctor::Arguments),
    /// Fuzz the hypercall boundary, and everything else that hostile bytes meet
    ///
    /// Runs until something is found, or until --seconds have passed, or for ever. A finding is a file; the command that reproduces it is
    /// printed, with the calls that it makes. The exit status is 1 if something was found.
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
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Runs the command line and says how it ended.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::USAGE } else { ExitCode(0) };
            // Nobody is left to tell if standard output is closed.
            let _ = error.print().and_then(|()| std::io::stdout().flush());
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
