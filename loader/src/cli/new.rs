//! `ringwall new`.

use std::path::PathBuf;

use hvcall::ExitCode;

use super::error::CommandError;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringwall new greet
  cd greet
  ringwall run . -- you")]
pub(crate) struct Arguments {
    /// Folder of the crate, which must not exist yet. Its last part becomes the crate's name
    path: PathBuf,
    /// Another name for the crate
    #[arg(long)]
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let folder = loader::new::create(&arguments.path, arguments.name.as_deref())?;
    super::print(&format!(
        "{folder}: an appliance that greets the world, or whom it is told to; src/main.rs is where to begin\n\
         Next:\n  cd {folder}\n  ringwall run . -- you\n  cargo test\n",
        folder = folder.display()
    ));
    Ok(ExitCode(0))
}
