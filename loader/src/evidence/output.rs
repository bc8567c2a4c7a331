//! Files that a run leaves behind. They are opened before it starts, so that a bad path is known at once.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// An empty file, to be written to.
#[derive(Debug)]
pub struct Output {
    /// Its path.
    pub path: PathBuf,
    /// The file.
    pub file: File,
}

/// Why there is no file to write to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

impl Output {
    /// Creates a file of this mode, or empties one and gives it this mode. A symbolic link is not followed, and what is no
    /// regular file is left alone.
    ///
    /// # Errors
    /// [`OutputError`] with the host's reason.
    pub fn create(path: &Path, mode: u32) -> Result<Self, OutputError> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(mode).custom_flags(flags.bits().cast_signed());
        let file = options.open(path).and_then(|file| {
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            file.set_permissions(Permissions::from_mode(mode))?;
            file.set_len(0)?;
            Ok(file)
        });
        match file {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(source) => Err(OutputError { path: path.to_owned(), source }),
        }
    }
}
