//! `ringwall build`.

use std::path::PathBuf;

use hvcall::ExitCode;
use loader::build::{BuildOptions, Built};
use loader::image;
use loader::signature::SecretKey;

use super::error::CommandError;

/// Build an appliance crate into a sealed image
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Crate folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Binary to build, if the crate has several
    #[arg(long)]
    bin: Option<String>,
    /// Cargo features to turn on
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Leave the crate's default features off
    #[arg(long)]
    no_default_features: bool,
    /// Fail rather than change Cargo.lock
    #[arg(long)]
    locked: bool,
    /// Do not touch the network
    #[arg(long)]
    offline: bool,
    /// Sign the image with this secret key, into IMAGE.minisig beside it
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Say nothing on success
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let options = BuildOptions {
        bin: arguments.bin.clone(),
        features: arguments.features.clone(),
        no_default_features: arguments.no_default_features,
        quiet: arguments.quiet,
        offline: arguments.offline,
        locked: arguments.locked,
    };
    // First: a key that cannot be used, or a password to be asked for, should not wait for a build.
    let key = arguments.sign.as_deref().map(SecretKey::open).transpose()?;
    let built = loader::build::build(&arguments.path, &options)?;
    if !arguments.quiet {
        super::print(&format!("{}\n", summary(&built)));
    }
    if let Some(key) = key {
        let signature = key.sign(&built.image, &image::read(&built.image)?)?;
        if !arguments.quiet {
            super::print(&format!("{}: signed by key {}\n", signature.display(), key.id()));
        }
    }
    Ok(ExitCode(0))
}

/// One line about a build.
pub(crate) fn summary(built: &Built) -> String {
    let kib = built.image_bytes.div_ceil(1024);
    format!("{}: {} KiB, symbols in {}", built.image.display(), kib, built.symbols.display())
}
