//! What can be wrong with keys and signatures. No message holds key material.

use std::io;
use std::path::PathBuf;

use hvcall::ExitCode;

/// Why there is no signature, or why one does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file cannot be written. Existing keys are never overwritten.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is no key.
    #[error("{} is no minisign key: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A secret key cannot be used, such as for a wrong password.
    #[error("cannot use the secret key {}: {reason}", path.display())]
    SecretKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key pair or a signature could not be made.
    #[error("cannot make {what}: {reason}")]
    Make {
        /// `a key pair` or `a signature`.
        what: &'static str,
        /// The library's reason.
        reason: String,
    },
    /// The image has no signature.
    #[error(
        "image {} is not signed, and a signature is required: there is no {} (make one with `ringwall sign`)",
        image.display(),
        super::signature_path(image).display()
    )]
    Unsigned {
        /// The image.
        image: PathBuf,
    },
    /// The signature file is not one.
    #[error("the signature {} is of no use: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The signature is by somebody else.
    #[error("image {} is signed by key {found}, and {required} is required", image.display())]
    OtherKey {
        /// The image.
        image: PathBuf,
        /// The key that made the signature.
        found: String,
        /// The keys that would do.
        required: String,
    },
    /// The image or its signature was changed.
    #[error(
        "image {} is not what key {key} has signed: it, or its signature, was changed afterwards",
        image.display()
    )]
    Changed {
        /// The image.
        image: PathBuf,
        /// The key.
        key: String,
    },
    /// A signature over the file itself, as minisign made them before version 0.10.
    #[error("the signature of image {} is of minisign's legacy kind; sign it again", image.display())]
    Legacy {
        /// The image.
        image: PathBuf,
    },
}

impl SignatureError {
    /// Exit status of `ringwall` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Read { .. } | Self::Malformed { .. } | Self::SecretKey { .. } => ExitCode::USAGE,
            Self::Write { .. } | Self::Make { .. } => ExitCode::HOST_ERROR,
            Self::Unsigned { .. }
            | Self::Unreadable { .. }
            | Self::OtherKey { .. }
            | Self::Changed { .. }
            | Self::Legacy { .. } => ExitCode::BAD_IMAGE,
        }
    }
}
