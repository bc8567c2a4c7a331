//! How everything ends: the guest's own status and the loader's exit codes, as one table.

use core::fmt;

use crate::Status;

/// Bit of `exit`'s argument that says the guest panicked.
const PANIC_BIT: u64 = 1 << 32;

/// What a guest says with its last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestExit {
    /// It ends with a status, 0 to 63.
    Status(u8),
    /// It panicked. The message went to the console before.
    Panic,
}

impl GuestExit {
    /// Largest status of an ordinary end.
    pub const MAX_STATUS: u8 = 63;

    /// Decodes `exit`'s argument.
    ///
    /// # Errors
    /// `INVAL` for anything that is neither. `exit` cannot return it: the monitor ends such a guest for breaking the contract.
    #[expect(clippy::cast_possible_truncation, reason = "compared with 63 just before")]
    pub const fn from_raw(raw: u64) -> Result<Self, Status> {
        if raw <= Self::MAX_STATUS as u64 {
            Ok(Self::Status(raw as u8))
        } else if raw == PANIC_BIT {
            Ok(Self::Panic)
        } else {
            Err(Status::INVAL)
        }
    }

    /// Encodes `exit`'s argument.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        match self {
            Self::Status(status) => status as u64,
            Self::Panic => PANIC_BIT,
        }
    }
}

/// Exit status of `ringwall run`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// The command line is wrong.
    pub const USAGE: Self = Self(64);
    /// The image is refused, or cannot be built.
    pub const BAD_IMAGE: Self = Self(65);
    /// The host lacks something that was asked for.
    pub const UNAVAILABLE: Self = Self(69);
    /// The monitor has a bug.
    pub const MONITOR_BUG: Self = Self(70);
    /// The host failed.
    pub const HOST_ERROR: Self = Self(71);
    /// The guest panicked.
    pub const GUEST_PANIC: Self = Self(80);
    /// The guest faulted.
    pub const GUEST_FAULT: Self = Self(81);
    /// The machine shut down by a triple fault, which a guest cannot cause.
    pub const TRIPLE_FAULT: Self = Self(82);
    /// The guest broke the contract.
    pub const CONTRACT_VIOLATION: Self = Self(83);
    /// The time limit passed.
    pub const TIME_LIMIT: Self = Self(84);

    /// Ended by a signal: 128 + its number.
    #[must_use]
    pub const fn signal(number: u8) -> Self {
        Self(128_u8.wrapping_add(number))
    }

    /// The table's text for this code.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self(0..=GuestExit::MAX_STATUS) => "the appliance's own status",
            Self::USAGE => "wrong use of the command line",
            Self::BAD_IMAGE => "bad image",
            Self::UNAVAILABLE => "the host lacks something",
            Self::MONITOR_BUG => "bug in the monitor",
            Self::HOST_ERROR => "error on the host",
            Self::GUEST_PANIC => "the appliance panicked",
            Self::GUEST_FAULT => "the appliance faulted",
            Self::TRIPLE_FAULT => "triple fault",
            Self::CONTRACT_VIOLATION => "the appliance broke the hypercall contract",
            Self::TIME_LIMIT => "time limit",
            Self(128..) => "ended by a signal",
            Self(_) => "unknown",
        }
    }
}

impl From<GuestExit> for ExitCode {
    fn from(exit: GuestExit) -> Self {
        match exit {
            GuestExit::Status(status) => Self(status),
            GuestExit::Panic => Self::GUEST_PANIC,
        }
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.0, self.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statuses_and_the_panic_bit_are_ends() {
        assert_eq!(GuestExit::from_raw(0), Ok(GuestExit::Status(0)));
        assert_eq!(GuestExit::from_raw(63), Ok(GuestExit::Status(63)));
        assert_eq!(GuestExit::from_raw(1 << 32), Ok(GuestExit::Panic));
        for raw in [64, 255, 256, (1 << 32) + 1, 1 << 33, u64::MAX] {
            assert_eq!(GuestExit::from_raw(raw), Err(Status::INVAL), "{raw:#x}");
        }
    }

    #[test]
    fn guest_statuses_never_meet_loader_codes() {
        for status in 0..=GuestExit::MAX_STATUS {
            assert_eq!(ExitCode::from(GuestExit::Status(status)), ExitCode(status));
        }
        assert_eq!(ExitCode::signal(15), ExitCode(143));
    }
}
