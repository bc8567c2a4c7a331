//! `ringwall`: see `ringwall --help`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::panic::install();
    ExitCode::from(cli::main().0)
}
