//! What can go wrong with a new crate.

use std::io;
use std::path::PathBuf;

use hvcall::ExitCode;
use thiserror::Error;

/// Why there is no new crate.
#[derive(Debug, Error)]
pub enum NewError {
    /// The path does not end in a name.
    #[error("cannot make a crate at {}: the path does not end in a name; give one, such as `ringwall new greet`", path.display())]
    NoName {
        /// The path as given.
        path: PathBuf,
    },
    /// The name is none for a crate.
    #[error("`{name}` cannot be a crate's name: {reason}; choose another one, or add --name NAME")]
    BadName {
        /// The name.
        name: String,
        /// What a name is like.
        reason: &'static str,
    },
    /// There is something already.
    #[error("{} exists already; nothing was changed", path.display())]
    Exists {
        /// The path as given.
        path: PathBuf,
    },
    /// There is no folder for this user's data.
    #[error("nowhere to put the guest library: neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl NewError {
    /// Exit status of `ringwall` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoName { .. } | Self::BadName { .. } | Self::Exists { .. } => ExitCode::USAGE,
            Self::NoHome | Self::Write { .. } => ExitCode::HOST_ERROR,
        }
    }
}
