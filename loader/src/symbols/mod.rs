//! From image offsets to functions and lines, by the symbol side file.
//!
//! An image holds no symbols. `ringwall build` keeps the linked file beside it, as `NAME.debug` next to `NAME.img`; this
//! module reads it when a fault has to be reported, and not before. That happens in the unsandboxed parent: the monitor
//! reports offsets only. Offsets come from the guest, so any number is possible and none is trusted; names come from a file
//! that travels with a hostile image, so control characters in them do not reach the terminal.

mod backtrace;
mod build_id;
mod resolve;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use backtrace::format_backtrace;
pub use build_id::build_id;
use hvcall::ExitCode;
pub(crate) use resolve::{dwarf, resolve as resolve_in};
use thiserror::Error;

/// Largest side file that is read.
const MAX_SIDE_FILE_BYTES: u64 = 1 << 30;

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The function, demangled, without the compiler's hash.
    pub function: String,
    /// The file as the compiler saw it, such as `apps/web/src/main.rs`.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The function was inlined into the one of the next location.
    pub inlined: bool,
}

/// A symbol side file that belongs to an image.
pub struct Symbols {
    file: Vec<u8>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Symbols").field("file_bytes", &self.file.len()).finish()
    }
}

/// Why there is nothing to look names up in. None of these changes how a run ends: the report then has offsets only.
#[derive(Debug, Error)]
pub enum SymbolsError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A side file of absurd size.
    #[error("will not read {}: {size_bytes} bytes, the limit for a symbol side file is {MAX_SIDE_FILE_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        size_bytes: u64,
    },
    /// A file is not ELF or is damaged.
    #[error("cannot read {} as ELF64: {source}", path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: object::read::Error,
    },
    /// A file carries no build id, so nothing tells whether the two belong together.
    #[error("{} has no GNU build id, so symbols cannot be matched; build it with `ringwall build`", path.display())]
    NoBuildId {
        /// The file.
        path: PathBuf,
    },
    /// The side file is of another build.
    #[error("{} is of another build (build id {found}) than the image ({wanted}); build both again with `ringwall build`", path.display())]
    Mismatch {
        /// The side file.
        path: PathBuf,
        /// The image's build id, in hexadecimal.
        wanted: String,
        /// The side file's.
        found: String,
    },
}

impl SymbolsError {
    /// Exit status of `ringwall` where symbols are all that was asked for.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Read { .. } => ExitCode::HOST_ERROR,
            Self::TooLarge { .. } | Self::Elf { .. } | Self::NoBuildId { .. } | Self::Mismatch { .. } => {
                ExitCode::BAD_IMAGE
            }
        }
    }
}

impl Symbols {
    /// Opens the side file beside an image: the same name with the extension `debug`. `None` if there is none.
    ///
    /// # Errors
    /// [`SymbolsError`] if there is one that cannot be used.
    pub fn for_image(image: &Path) -> Result<Option<Self>, SymbolsError> {
        let side_file = image.with_extension("debug");
        if !side_file.exists() {
            return Ok(None);
        }
        Self::open(image, &side_file).map(Some)
    }

    /// Opens a side file and checks that it is of the same build as the image.
    ///
    /// # Errors
    /// [`SymbolsError`].
    pub fn open(image: &Path, side_file: &Path) -> Result<Self, SymbolsError> {
        let image_bytes = read(image)?;
        let file = read(side_file)?;
        let wanted = build_id_of(image, &image_bytes)?;
        let found = build_id_of(side_file, &file)?;
        if wanted != found {
            let path = side_file.to_owned();
            return Err(SymbolsError::Mismatch { path, wanted: hex(wanted), found: hex(found) });
        }
        Ok(Self { file })
    }

    /// The side file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.file
    }

    /// Looks up image offsets. The image is linked at address 0, so an offset is a link-time address.
    ///
    /// For each offset the innermost inlined function comes first and the function that was called comes last; an offset
    /// that is not in any known function gives an empty list.
    #[must_use]
    pub fn resolve(&self, offsets: &[u64]) -> Vec<Vec<Location>> {
        resolve::resolve(&self.file, offsets)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SymbolsError> {
    let error = |source| SymbolsError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(error)?;
    if !metadata.is_file() {
        return Err(error(std::io::ErrorKind::InvalidInput.into()));
    }
    let size_bytes = metadata.len();
    if size_bytes > MAX_SIDE_FILE_BYTES {
        return Err(SymbolsError::TooLarge { path: path.to_owned(), size_bytes });
    }
    fs::read(path).map_err(error)
}

fn build_id_of<'bytes>(path: &Path, bytes: &'bytes [u8]) -> Result<&'bytes [u8], SymbolsError> {
    build_id(bytes)
        .map_err(|source| SymbolsError::Elf { path: path.to_owned(), source })?
        .ok_or_else(|| SymbolsError::NoBuildId { path: path.to_owned() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(crate) mod sample_elf;
#[cfg(test)]
mod tests;
