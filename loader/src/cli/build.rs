//! `ringwall build`.

use std::path::PathBuf;

use hvcall::ExitCode;
use loader::build::{BuildOptions, Built, Seed};
use loader::image;
use loader::signature::SecretKey;

use super::error::CommandError;

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
    /// Order of functions: a number gives the same image again, `random` a new one [default: random whenever the code is new]
    #[arg(long, value_name = "N|random", value_parser = seed)]
    seed: Option<Seed>,
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
        seed: arguments.seed.unwrap_or_default(),
    };
    // First: a key that cannot be used, or a password to be asked for, should not wait for a build.
    let key = arguments.sign.as_deref().map(SecretKey::open).transpose()?;
    let built = loader::build::build(&arguments.path, &options)?;
    warn_of_no_audit(&built);
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

/// Says so where a crate has turned the audit off.
pub(crate) fn warn_of_no_audit(built: &Built) {
    if !built.audited {
        loader::say!(
            "ringwall: NOT AUDITED: {}: its Cargo.toml has `audit = false` in [package.metadata.ringwall]",
            built.bin
        );
    }
}

/// One line about a build.
pub(crate) fn summary(built: &Built) -> String {
    let kib = built.image_bytes.div_ceil(1024);
    format!(
        "{}: {} KiB, seed {}, symbols in {}",
        built.image.display(),
        kib,
        built.seed,
        built.symbols.display()
    )
}

fn seed(text: &str) -> Result<Seed, String> {
    match text.parse() {
        _ if text == "random" => Ok(Seed::Random),
        Ok(number) => Ok(Seed::Fixed(number)),
        Err(_) => Err(format!("it is `random` or a number from 0 to {}", u64::MAX)),
    }
}
