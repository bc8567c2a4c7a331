//! Signatures: an image that a person or a build machine has vouched for, and none that was changed since.
//!
//! The formats are minisign's, so its tool can stand in on either side: a key pair is two small text files, and a signature is a
//! file beside the image, `hello.img.minisig`. Signing ([`sign`]) and checking ([`mod@check`]) use two libraries of the same author
//! that share no code here; the checking one has no dependency, and is all that `ringwall run` needs.
//!
//! What is checked is the copy of the image in memory that is then run, before any of it is parsed, so nothing that happens to
//! the file in between matters. Legacy signatures, which cover the file itself instead of its digest, are refused.

pub mod check;
mod error;
pub mod sign;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use check::{PublicKey, Signed, check};
pub use error::SignatureError;
pub use sign::{SecretKey, new_key_pair};

/// Longest key or signature file that is read. Minisign's own have fewer than 1,000 bytes, comments included.
pub const MAX_FILE_BYTES: u64 = 16 * 1024;

/// Where the signature of an image is: the image's name with `.minisig` behind it.
#[must_use]
pub fn signature_path(image: &Path) -> PathBuf {
    let mut path = image.as_os_str().to_owned();
    path.push(".minisig");
    path.into()
}

/// A key's identifier, as minisign shows it.
fn key_id(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn read(path: &Path) -> Result<String, SignatureError> {
    let unreadable = |source| SignatureError::Read { path: path.to_owned(), source };
    let long = fs::metadata(path).map_err(unreadable)?;
    if !long.is_file() || long.len() > MAX_FILE_BYTES {
        return Err(SignatureError::Malformed {
            path: path.to_owned(),
            reason: "it is no small text file".to_owned(),
        });
    }
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
        .map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
