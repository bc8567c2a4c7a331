//! The build report, `NAME.json` beside the image: what it was made of, how, and what came out.
//!
//! The next build reads it, too: it tells whether the image at hand is still what the code compiles to.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::sizes::{Code, Segment};
use super::toolchain::Toolchain;
use super::{flags, link};

/// Version of the report's form.
const FORMAT: u32 = 1;

/// What a build was, and what it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form: 1.
    pub format: u32,
    /// Name of the appliance.
    pub name: String,
    /// Version of the appliance.
    pub version: String,
    /// The seed that the order of functions follows from. `ringwall build --seed` takes it. 0: the compiler's order.
    pub seed: u64,
    /// Version of `ringwall`.
    pub ringwall: String,
    /// What compiled and linked it.
    pub toolchain: Compiler,
    /// Flags.
    pub flags: Flags,
    /// The image file.
    pub image: File,
    /// The symbol side file.
    pub symbols: File,
    /// What the linker was given.
    pub object: File,
    /// What the audit said; `null` if the crate's `Cargo.toml` turns it off.
    pub audit: Option<Audit>,
    /// What the machine loads, in the image's order.
    pub segments: Vec<Segment>,
    /// Where the code comes from, most first, by line tables. Inlined code counts where it was written.
    pub code: Vec<Code>,
}

/// A compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiler {
    /// Such as `1.95.0`.
    pub rustc: String,
    /// Its commit.
    pub commit: String,
}

/// Flags of a build that every appliance has in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// Cargo's profile, as environment variables.
    pub profile: Vec<String>,
    /// The compiler's.
    pub rustc: Vec<String>,
    /// The linker's, but for the order of functions.
    pub linker: Vec<String>,
    /// The linker's script.
    pub script: String,
}

/// An audit in short; `ringwall audit` says it at length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Every check passed.
    pub passed: bool,
    /// How many there were.
    pub checks: usize,
}

/// A file, known by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl File {
    pub(super) fn of(content: &[u8]) -> Self {
        let digest = Sha256::digest(content);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: content.len() as u64, sha256 }
    }

    /// Whether there is a file of this content.
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| found.len() == self.bytes)
            && fs::read(path).is_ok_and(|content| Self::of(&content) == *self)
    }
}

impl Flags {
    /// Those of this version.
    pub(super) fn current() -> Self {
        let texts = |flags: &[&str]| flags.iter().map(|&flag| flag.to_owned()).collect();
        Self {
            profile: flags::profile().iter().map(|(name, value)| format!("{name}={value}")).collect(),
            rustc: texts(&flags::RUSTC),
            linker: texts(&link::FLAGS),
            script: link::SCRIPT.to_owned(),
        }
    }
}

impl From<&Toolchain> for Compiler {
    fn from(toolchain: &Toolchain) -> Self {
        Self { rustc: toolchain.release.clone(), commit: toolchain.commit.clone() }
    }
}

impl Report {
    pub(super) const FORMAT: u32 = FORMAT;

    /// The report of an earlier build, if there is one that this version understands.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let report: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (report.format == FORMAT && report.ringwall == env!("CARGO_PKG_VERSION")).then_some(report)
    }

    /// Whether image and side file are still what this report says, and what `object` links to.
    pub(super) fn is_true_of(&self, object: &File, audited: bool, image: &Path, symbols: &Path) -> bool {
        self.object == *object
            && self.audit.is_some() == audited
            && self.flags == Flags::current()
            && self.image.is_at(image)
            && self.symbols.is_at(symbols)
    }

    /// The form it has in its file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}
