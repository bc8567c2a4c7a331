//! `ringwall key`, `ringwall sign` and `ringwall verify`.

use std::path::PathBuf;

use hvcall::ExitCode;
use loader::image::{self, Image};
use loader::signature::{self, PublicKey, SecretKey};

use super::error::CommandError;

#[derive(Debug, clap::Args)]
pub(crate) struct KeyArguments {
    /// Path of the two files, without extension
    name: PathBuf,
    /// Leave the secret key unencrypted, for machines that sign without a person; else a password is asked for
    #[arg(long)]
    no_password: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SignArguments {
    /// Image file
    image: PathBuf,
    /// Secret key file
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArguments {
    /// Image file
    image: PathBuf,
    /// Public key, its file or its line; of several, one has to fit
    #[arg(long, value_name = "PUB", required = true)]
    key: Vec<String>,
}

pub(crate) fn make(arguments: &KeyArguments) -> Result<ExitCode, CommandError> {
    let made = signature::new_key_pair(&arguments.name, !arguments.no_password)?;
    super::print(&format!(
        "key {}\nsecret: {}\npublic: {}\npublic key as a line: {}\n",
        made.id,
        made.secret.display(),
        made.public.display(),
        made.line
    ));
    Ok(ExitCode(0))
}

pub(crate) fn sign(arguments: &SignArguments) -> Result<ExitCode, CommandError> {
    let image = Image::open(&arguments.image)?;
    let key = SecretKey::open(&arguments.key)?;
    let path = key.sign(&arguments.image, image.bytes())?;
    super::print(&format!("{}: signed by key {}\n", path.display(), key.id()));
    Ok(ExitCode(0))
}

pub(crate) fn verify(arguments: &VerifyArguments) -> Result<ExitCode, CommandError> {
    let bytes = image::read(&arguments.image)?;
    let signed = signature::check(&arguments.image, &bytes, &keys(&arguments.key)?)?;
    super::print(&format!(
        "{}: signed by key {}: {}\n",
        arguments.image.display(),
        signed.key_id,
        signed.comment
    ));
    Ok(ExitCode(0))
}

/// Public keys by their names on the command line.
pub(crate) fn keys(names: &[String]) -> Result<Vec<PublicKey>, CommandError> {
    Ok(names.iter().map(|name| PublicKey::named(name)).collect::<Result<_, _>>()?)
}
