//! What can go wrong, in words and as exit status.

use core::fmt;

use guest::block::Error;
use guest::hvcall::Status;

/// Why the appliance gives up.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    /// The arguments make no sense.
    Usage,
    /// The disk failed in an operation.
    Disk { what: &'static str, sector: u64, count: u64, error: Error },
    /// A sector holds something else than it should, from the byte at `offset` on.
    Mismatch { sector: u64, offset: usize, found: u8, wanted: u8 },
}

impl Failure {
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Self::Disk { error: Error::Failed(Status::ROFS), .. } => 2,
            Self::Disk { .. } | Self::Mismatch { .. } => 1,
            Self::Usage => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => formatter.write_str("usage: disk [write|verify [SEED]]"),
            Self::Disk { what, sector, count, error } => {
                write!(formatter, "{what} of {count} sectors from sector {sector} on failed: {error}")
            }
            Self::Mismatch { sector, offset, found, wanted } => {
                write!(formatter, "sector {sector}, byte {offset}: found {found:#04x}, wanted {wanted:#04x}")
            }
        }
    }
}
