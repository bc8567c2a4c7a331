//! What a hypercall says when it does not do what was asked.
//!
//! Codes are Ringwall's own, not `errno`: they say who has to change something, and no host error number ever reaches a
//! guest. In RAX a status travels negated. The range stays clear of 512 to 530, which Linux uses for restarting system
//! calls (`include/linux/errno.h`, v6.12), so that no backend can mistake a result for one of those.

use core::fmt;

/// A call's failure. Open newtype: a number that this version does not know is a value like any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// An argument is outside its documented range, misaligned, or a reserved field is not zero.
    pub const INVAL: Self = Self(1);
    /// An address range is not guest memory, or not memory that the guest itself may access in that way.
    pub const FAULT: Self = Self(2);
    /// There is no call of that number.
    pub const NOSYS: Self = Self(3);
    /// The appliance has no device of that kind and index.
    pub const NODEV: Self = Self(4);
    /// The disk is read-only.
    pub const ROFS: Self = Self(5);
    /// The host's device failed.
    pub const IO: Self = Self(6);
    /// Nothing can be taken or given right now; `wait` tells when it can.
    pub const AGAIN: Self = Self(7);
    /// The host has no room left for the data.
    pub const NOSPC: Self = Self(8);

    /// Lowest value RAX has for a status: everything from here to -1 is one.
    pub const LOWEST_RESULT: i64 = -4095;

    /// The status as the call's result in RAX.
    #[must_use]
    pub const fn to_result(self) -> i64 {
        -(self.0 as i64)
    }

    /// Splits RAX into the call's value or its status.
    ///
    /// # Errors
    /// The status, where RAX holds one.
    #[expect(clippy::cast_possible_truncation, reason = "between 1 and 4095")]
    pub const fn from_result(raw: i64) -> Result<u64, Self> {
        if raw >= Self::LOWEST_RESULT && raw < 0 {
            Err(Self(raw.unsigned_abs() as u16))
        } else {
            Ok(raw.cast_unsigned())
        }
    }

    /// The constant's name, or `None` for a number that this version does not define.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INVAL => "INVAL",
            Self::FAULT => "FAULT",
            Self::NOSYS => "NOSYS",
            Self::NODEV => "NODEV",
            Self::ROFS => "ROFS",
            Self::IO => "IO",
            Self::AGAIN => "AGAIN",
            Self::NOSPC => "NOSPC",
            Self(_) => return None,
        })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "Status({})", self.0),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match *self {
            Self::INVAL => "invalid argument",
            Self::FAULT => "address outside the guest's own memory",
            Self::NOSYS => "no such call",
            Self::NODEV => "no such device",
            Self::ROFS => "read-only disk",
            Self::IO => "input/output error on the host",
            Self::AGAIN => "try again",
            Self::NOSPC => "no space left on the host",
            Self(_) => "unknown status",
        })
    }
}

impl core::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_split_into_values_and_statuses() {
        for status in [
            Status::INVAL,
            Status::FAULT,
            Status::NOSYS,
            Status::NODEV,
            Status::ROFS,
            Status::IO,
            Status::AGAIN,
            Status::NOSPC,
        ] {
            assert_eq!(Status::from_result(status.to_result()), Err(status));
            assert!(status.to_result() > -512, "{status:?} meets the kernel's restart codes");
        }
        assert_eq!(Status::from_result(0), Ok(0));
        assert_eq!(Status::from_result(-4096), Ok(4096_u64.wrapping_neg()));
        assert_eq!(Status::from_result(-4095), Err(Status(4095)));
        assert_eq!(Status::from_result(i64::MAX), Ok(i64::MAX as u64));
    }
}
