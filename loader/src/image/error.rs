//! Why an image is refused.

use std::path::PathBuf;

use hvcall::ExitCode;
use hvcall::manifest::ManifestError;

/// Why an image is refused. The message names the failed check.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot read image {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// The path names something else than a regular file.
    #[error("image {} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is too large.
    #[error("image file has {size_bytes} bytes, at most {} are accepted", super::MAX_FILE_BYTES)]
    TooLarge {
        /// Its size.
        size_bytes: u64,
    },
    /// The file is not an ELF file, or cut short, or its tables lie outside it.
    #[error("image is not a readable ELF file: {0}")]
    Elf(#[from] object::read::Error),
    /// The ELF header is not that of a little-endian x86-64 static-PIE.
    #[error("image header: {field} is {found:#x}, expected {expected:#x}")]
    Header {
        /// Field of the ELF header.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The value of an image.
        expected: u64,
    },
    /// Too many program headers, or none to load.
    #[error(
        "image has {count} loadable segments in {headers} program headers, at most {} are accepted",
        super::parse::MAX_HEADERS
    )]
    HeaderCount {
        /// Number of `PT_LOAD`.
        count: usize,
        /// Number of program headers.
        headers: usize,
    },
    /// An interpreter is asked for: the file is a dynamically linked program.
    #[error(
        "image asks for an interpreter: it is an ordinary program, not an appliance (build it with `ringwall build`)"
    )]
    Interpreter,
    /// A segment has a permission other than read, read-write or read-execute.
    #[error("segment at {address:#x} has permissions {flags:#x}: writable and executable, or not readable")]
    Permission {
        /// Its address.
        address: u64,
        /// `p_flags`.
        flags: u32,
    },
    /// A segment's addresses or sizes are impossible.
    #[error("segment at {address:#x}: {reason}")]
    Segment {
        /// Its address.
        address: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The stack is executable, or the image does not say that it is not.
    #[error("image does not declare a non-executable stack")]
    Stack,
    /// The image has thread-local storage.
    #[error("image has thread-local storage, which ABI version {} does not load", hvcall::ABI_VERSION)]
    ThreadLocal,
    /// The entry point is not code.
    #[error("entry point {0:#x} is not in an executable segment")]
    Entry(u64),
    /// The read-only-after-relocation range is not whole pages at the start of a writable segment.
    #[error("read-only-after-relocation range {start:#x}..{end:#x} is not the start of a writable segment")]
    Relro {
        /// First address.
        start: u64,
        /// First address after it.
        end: u64,
    },
    /// The dynamic section asks for something that the loader does not do.
    #[error("dynamic section: {0}")]
    Dynamic(&'static str),
    /// A relocation is of another type than relative, or touches what it may not.
    #[error("relocation {index} at {offset:#x}: {reason}")]
    Relocation {
        /// Position in the table.
        index: usize,
        /// Address it changes.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The Ringwall notes are missing, repeated or malformed.
    #[error("image note: {0}")]
    Note(&'static str),
    /// The manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The gate page does not hold exactly the gate.
    #[error("gate page at {0:#x} is not a page of an executable segment with exactly the gate's content")]
    Gate(u64),
}

impl ImageError {
    /// Exit code of `ringwall run` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        ExitCode::BAD_IMAGE
    }
}
