//! Why block I/O fails.

use core::fmt;

use hvcall::Status;

/// A disk operation's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The manifest (`appliance! { disks: [...] }`) lists no disk of that name.
    NoSuchDisk,
    /// The data is not a whole number of sectors long.
    NotWholeSectors,
    /// The sectors are not all on the disk.
    OutOfRange,
    /// The disk refused, with a status: `ROFS` for a change to a read-only disk, `IO`, `NOSPC`.
    Failed(Status),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDisk => formatter.write_str("the manifest lists no disk of that name"),
            Self::NotWholeSectors => formatter.write_str("data is not a whole number of sectors long"),
            Self::OutOfRange => formatter.write_str("sectors beyond the end of the disk"),
            Self::Failed(status) => write!(formatter, "disk: {status} ({status:?})"),
        }
    }
}

impl core::error::Error for Error {}
