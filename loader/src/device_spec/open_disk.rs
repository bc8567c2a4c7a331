//! Opening a disk: one descriptor, checked by what was opened, and locked.
//!
//! The guest's sector numbers are checked against the size found here. A file that shrinks later gives short reads, which
//! the disk device reports as errors; the lock keeps a second monitor from being the one that does it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;

use hvcall::boot::DISK_READ_ONLY;
use hvcall::{DiskInfo, ExitCode};
use rustix::fs::{FlockOperation, OFlags, flock, ioctl_blksszget};
use thiserror::Error;

use super::DiskSpec;

/// A disk ready for use.
#[derive(Debug)]
pub struct OpenDisk {
    /// The descriptor, for positioned reads and, unless read-only, writes. Holds the lock until it is closed.
    pub file: File,
    /// What the guest is told.
    pub info: DiskInfo,
}

/// Why a disk cannot be used.
#[derive(Debug, Error)]
pub enum DiskError {
    /// There is nothing of that name.
    #[error("cannot open disk {}: there is no such file; create one with `truncate -s 64M {}`", file.display(), file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// It may be read and not written.
    #[error("cannot open disk {} for writing: {source}; add `,ro` to use it read-only", file.display())]
    OnlyReadable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("cannot open disk {}: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is neither a regular file nor a block device.
    #[error("cannot use {} as a disk: it is a {found}; a disk is a regular file or a block device", file.display())]
    Kind {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// It has no content.
    #[error("cannot use {} as a disk: it is empty; give it a size with `truncate -s 64M {}`", file.display(), file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// It ends within a sector.
    #[error("cannot use {} as a disk: its {size_bytes} bytes are not a multiple of the {sector_bytes}-byte sector; \
             round it up with `truncate -s %{sector_bytes} {}`{}", file.display(), file.display(),
             if *sector_bytes == 4096 { ", or use sector=512" } else { "" })]
    Unaligned {
        /// The file.
        file: PathBuf,
        /// Its length.
        size_bytes: u64,
        /// The sector size in force.
        sector_bytes: u32,
    },
    /// Someone else has locked it.
    #[error("cannot use disk {}: another program has locked it, probably a running appliance; stop that one, or let both use it with `,ro`", file.display())]
    Locked {
        /// The file.
        file: PathBuf,
    },
    /// The host failed.
    #[error("cannot {action} disk {}: {source}", file.display())]
    Host {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl DiskError {
    /// Exit status of `ringwall` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Missing { .. } | Self::OnlyReadable { .. } | Self::Open { .. } | Self::Locked { .. } => {
                ExitCode::UNAVAILABLE
            }
            Self::Kind { .. } | Self::Empty { .. } | Self::Unaligned { .. } => ExitCode::USAGE,
            Self::Host { .. } => ExitCode::HOST_ERROR,
        }
    }
}

/// Opens, checks and locks a disk.
///
/// Symbolic links are followed: the person at the command line chose the path. What counts is the file behind the
/// descriptor, not what had the name before. The lock is `flock`, exclusive for a writer and shared for readers.
///
/// # Errors
/// [`DiskError`]. Nothing is created or changed.
pub fn open(spec: &DiskSpec) -> Result<OpenDisk, DiskError> {
    let file_name = || spec.file.clone();
    // Opening can itself have effects (tape drives, watchdogs), so what is clearly no disk is not even opened.
    let before = fs::metadata(&spec.file).map_err(|source| cannot_open(spec, source))?;
    check_kind(spec, before.file_type())?;

    let file = open_file(spec)?;
    let host = |action| move |source: io::Error| DiskError::Host { action, file: file_name(), source };
    let kind = file.metadata().map_err(host("examine"))?.file_type();
    check_kind(spec, kind)?;
    lock(spec, &file)?;

    let own_sector = if kind.is_block_device() { ioctl_blksszget(&file).ok() } else { None };
    let own_sector = own_sector.filter(|bytes| [512, 4096].contains(bytes)).unwrap_or(512);
    let sector_bytes = spec.sector_bytes.unwrap_or(own_sector);
    // Where a block device ends is where seeking to its end leads (block/fops.c, v6.12); its metadata says 0.
    let size_bytes = (&file).seek(SeekFrom::End(0)).map_err(host("find the size of"))?;
    if size_bytes == 0 {
        return Err(DiskError::Empty { file: file_name() });
    }
    if !size_bytes.is_multiple_of(u64::from(sector_bytes)) {
        return Err(DiskError::Unaligned { file: file_name(), size_bytes, sector_bytes });
    }
    let flags = if spec.read_only { DISK_READ_ONLY } else { 0 };
    let info = DiskInfo { sectors: size_bytes / u64::from(sector_bytes), sector_bytes, flags };
    Ok(OpenDisk { file, info })
}

fn check_kind(spec: &DiskSpec, kind: fs::FileType) -> Result<(), DiskError> {
    let found = if kind.is_file() || kind.is_block_device() {
        return Ok(());
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "FIFO"
    } else if kind.is_char_device() {
        "character device"
    } else if kind.is_socket() {
        "socket"
    } else {
        "special file"
    };
    Err(DiskError::Kind { file: spec.file.clone(), found })
}

fn open_file(spec: &DiskSpec) -> Result<File, DiskError> {
    // Should the name have become a FIFO by now, O_NONBLOCK keeps the open from waiting. Disks ignore it.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let open = |writable| {
        let flags = flags.bits().cast_signed();
        OpenOptions::new().read(true).write(writable).custom_flags(flags).open(&spec.file)
    };
    match open(!spec.read_only) {
        Ok(opened) => Ok(opened),
        Err(source) if !spec.read_only && open(false).is_ok() => {
            Err(DiskError::OnlyReadable { file: spec.file.clone(), source })
        }
        Err(source) => Err(cannot_open(spec, source)),
    }
}

fn cannot_open(spec: &DiskSpec, source: io::Error) -> DiskError {
    let file = spec.file.clone();
    if source.kind() == io::ErrorKind::NotFound {
        DiskError::Missing { file }
    } else {
        DiskError::Open { file, source }
    }
}

fn lock(spec: &DiskSpec, file: &File) -> Result<(), DiskError> {
    let operation = if spec.read_only {
        FlockOperation::NonBlockingLockShared
    } else {
        FlockOperation::NonBlockingLockExclusive
    };
    flock(file, operation).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => DiskError::Locked { file: spec.file.clone() },
        other => DiskError::Host { action: "lock", file: spec.file.clone(), source: other.into() },
    })
}

#[cfg(test)]
mod tests;
