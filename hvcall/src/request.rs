//! Descriptors of block I/O.

use crate::{DiskInfo, Status, planted, wire_struct};

/// Most data one request moves.
pub const MAX_REQUEST_BYTES: u64 = 1024 * 1024;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Disk to memory.
    Read,
    /// Memory to disk.
    Write,
    /// Every write reaped before this request was submitted is on stable storage when it completes.
    Flush,
    /// The sectors' content is no longer wanted; they read as zeros afterwards.
    Discard,
}

impl Operation {
    /// Number in [`Request::operation`].
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 2,
            Self::Discard => 3,
        }
    }

    /// The operation of that number.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Flush,
            3 => Self::Discard,
            _ => return None,
        })
    }
}

wire_struct! {
    /// One entry of a `block_submit` array.
    pub struct Request {
        /// The guest's own name for the request; comes back in the completion.
        pub tag: u64,
        /// First sector. 0 for a flush.
        pub sector: u64,
        /// Guest-virtual address of the data, any alignment. 0 for flush and discard.
        pub address: u64,
        /// Number of sectors, at least 1; for read and write at most [`MAX_REQUEST_BYTES`] together. 0 for a flush.
        pub sectors: u32,
        /// [`Operation::to_raw`].
        pub operation: u32,
    }
}
static_assertions::const_assert_eq!(size_of::<Request>(), 32);
static_assertions::const_assert_eq!(core::mem::offset_of!(Request, operation), 28);

wire_struct! {
    /// One entry of a `block_reap` array, written by the monitor.
    pub struct Completion {
        /// The request's tag.
        pub tag: u64,
        /// 0, or a status as in RAX: `IO`, `NOSPC`.
        pub result: i64,
    }
}
static_assertions::const_assert_eq!(size_of::<Completion>(), 16);

impl Request {
    /// Checks everything but the address, and names the operation.
    ///
    /// # Errors
    /// `INVAL` for an unknown operation, a field that must be 0 or may not be, sectors beyond the disk's end, or too much
    /// data; `ROFS` for a write or discard on a read-only disk.
    pub fn check(&self, disk: &DiskInfo) -> Result<Operation, Status> {
        let operation = Operation::from_raw(self.operation).ok_or(Status::INVAL)?;
        let sectors = u64::from(self.sectors);
        match operation {
            Operation::Flush => {
                let unused = self.sector | self.address | sectors;
                return if unused == 0 { Ok(operation) } else { Err(Status::INVAL) };
            }
            Operation::Write | Operation::Discard if planted!(ReadOnlyIgnored => false, disk.is_read_only()) =>
            {
                return Err(Status::ROFS);
            }
            Operation::Discard if self.address != 0 => return Err(Status::INVAL),
            Operation::Read | Operation::Write if self.data_bytes(disk) > MAX_REQUEST_BYTES => {
                return Err(Status::INVAL);
            }
            Operation::Read | Operation::Write | Operation::Discard => {}
        }
        let end = self.sector.checked_add(sectors).ok_or(Status::INVAL)?;
        if sectors == 0 || planted!(OffsetOverflows => end << 9 >> 9, end) > disk.sectors {
            Err(Status::INVAL)
        } else {
            Ok(operation)
        }
    }

    /// Bytes that the request covers on `disk`.
    #[must_use]
    pub fn data_bytes(&self, disk: &DiskInfo) -> u64 {
        u64::from(self.sectors) * u64::from(disk.sector_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::DISK_READ_ONLY;

    const DISK: DiskInfo = DiskInfo { sectors: 1 << 40, sector_bytes: 512, flags: 0 };

    fn read(sector: u64, sectors: u32) -> Request {
        Request { tag: 7, sector, address: 0x10_0000_0000, sectors, operation: Operation::Read.to_raw() }
    }

    #[test]
    fn requests_stay_on_the_disk() {
        assert_eq!(read(0, 1).check(&DISK), Ok(Operation::Read));
        assert_eq!(read(DISK.sectors - 8, 8).check(&DISK), Ok(Operation::Read));
        for (sector, sectors) in [(0, 0), (DISK.sectors - 8, 9), (DISK.sectors, 1), (u64::MAX, 1), (0, 2049)]
        {
            assert_eq!(read(sector, sectors).check(&DISK), Err(Status::INVAL), "{sector} {sectors}");
        }
    }

    #[test]
    fn read_only_disks_take_no_changes() {
        let disk = DiskInfo { flags: DISK_READ_ONLY, ..DISK };
        for operation in [Operation::Write, Operation::Discard] {
            let request = Request { operation: operation.to_raw(), ..read(0, 1) };
            assert_eq!(request.check(&disk), Err(Status::ROFS));
        }
        assert_eq!(read(0, 1).check(&disk), Ok(Operation::Read));
    }

    #[test]
    fn unused_fields_are_zero() {
        let flush = Request { operation: Operation::Flush.to_raw(), tag: 1, ..Request::default() };
        assert_eq!(flush.check(&DISK), Ok(Operation::Flush));
        assert_eq!(Request { sector: 1, ..flush }.check(&DISK), Err(Status::INVAL));
        assert_eq!(Request { address: 1, ..flush }.check(&DISK), Err(Status::INVAL));
        assert_eq!(Request { sectors: 1, ..flush }.check(&DISK), Err(Status::INVAL));
        let discard = Request { operation: Operation::Discard.to_raw(), sectors: 9000, ..Request::default() };
        assert_eq!(discard.check(&DISK), Ok(Operation::Discard));
        assert_eq!(Request { address: 1, ..discard }.check(&DISK), Err(Status::INVAL));
        assert_eq!(Request { operation: 4, ..discard }.check(&DISK), Err(Status::INVAL));
    }
}
