//! What was found, as a file and as text.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// First bytes of a file that holds several inputs, to be run one after the other.
const BATCH_MAGIC: &[u8; 8] = b"RWBATCH1";

/// Something that is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Kind of the violation, or `crash` or `hang`.
    pub kind: String,
    /// What was expected and what happened.
    pub detail: String,
    /// The input.
    pub file: PathBuf,
    /// When, from the start.
    pub seconds: f64,
    /// Processor time of the worker until then.
    pub cpu_seconds: f64,
}

/// A hash for file names (FNV-1a).
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Saves an input in the folder of findings.
///
/// # Errors
/// What the host says.
pub fn save(folder: &Path, kind: &str, input: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{kind}-{:016x}", hash(input)));
    fs::write(&path, input)?;
    Ok(path)
}

/// Several inputs as one file.
#[must_use]
pub fn join<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = BATCH_MAGIC.to_vec();
    for input in inputs {
        bytes.extend(u32::try_from(input.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(input);
    }
    bytes
}

/// The inputs of a file: one, or several if the file says so.
#[must_use]
pub fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let Some(mut rest) = bytes.strip_prefix(BATCH_MAGIC) else { return vec![bytes.to_vec()] };
    let mut inputs = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk() {
        let len = crate::address::index(u64::from(u32::from_le_bytes(*len))).min(tail.len());
        inputs.push(tail[..len].to_vec());
        rest = &tail[len..];
    }
    inputs
}
