//! Spoiled images: each is `hello` with one property of a hardened image taken away.
//!
//! The audit has to name what is wrong with each, and a run has to refuse it or survive it.
//!
//! ```text
//! form        header, segments, entry, stack, symbols
//! links       interpreter, libraries, relocations, RELRO
//! promises    manifest, gate
//! code        instructions, executed first of all
//! ```

mod code;
mod form;
mod links;
mod promises;

use crate::{App, ImageFile};

/// What `ringwall run` does with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Refuses it: 65.
    Refused,
    /// Runs it, and it ends by a fault or a breach of the contract: 80 to 83.
    Ends,
    /// Runs it, and it may end like any appliance: what is missing is a hardening, or the instruction is harmless.
    Survived,
}

impl Ending {
    /// Whether an exit code is this ending.
    #[must_use]
    pub const fn fits(self, code: i32) -> bool {
        match self {
            Self::Refused => code == 65,
            Self::Ends => matches!(code, 80..=83),
            Self::Survived => matches!(code, 0..=63 | 80..=83),
        }
    }
}

/// A spoiled image.
#[derive(Clone, Debug)]
pub struct Spoiled {
    /// What was done to it.
    pub name: &'static str,
    /// The file.
    pub file: ImageFile,
    /// The check of the audit that fails.
    pub check: &'static str,
    /// Part of the evidence.
    pub evidence: &'static str,
    /// What a run does.
    pub ending: Ending,
}

/// All of them. They are made of the `hello` image, which is built if need be.
#[must_use]
pub fn all() -> Vec<Spoiled> {
    [form::all(), links::all(), promises::all(), code::all()].concat()
}

fn hello() -> ImageFile {
    ImageFile::of(App::Hello)
}

/// A table's row as a spoiled image.
fn row(
    (name, file, check, evidence, ending): (&'static str, ImageFile, &'static str, &'static str, Ending),
) -> Spoiled {
    Spoiled { name, file, check, evidence, ending }
}
