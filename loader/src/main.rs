//! `ringwall`: see `ringwall --help`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    loader::machine::tsc::start_measuring();
    cli::panic::install();
    ExitCode::from(cli::main().0)
}
