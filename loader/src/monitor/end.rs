//! How a run ended: what the monitor hands to its parent as the last thing it does.

use hvcall::{ExitCode, GuestExit};

/// Most return addresses in a report.
pub const MAX_FRAMES: usize = 32;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest ended itself.
    Exit(GuestExit),
    /// A stub reported an exception.
    Fault {
        /// Its vector.
        vector: u8,
    },
    /// A trap came from outside the gate.
    ForeignTrap,
    /// `exit` with a value that the contract does not have.
    BadExit {
        /// The value.
        argument: u64,
    },
    /// An exit that the contract does not list: a fault on the machine's edge.
    ForeignExit {
        /// Reason by the backend's numbering.
        reason: u32,
        /// Port, address or suberror.
        detail: u64,
    },
    /// Triple fault.
    TripleFault,
    /// KVM_RUN failed.
    RunFailed {
        /// Error number.
        errno: i32,
    },
    /// The CPU refused to enter the guest.
    EntryFailed {
        /// Hardware reason.
        reason: u64,
    },
    /// The guest's process died.
    Killed {
        /// Of this signal, or 0 if that is not known.
        signal: u8,
    },
}

impl End {
    /// The loader's exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match *self {
            Self::Exit(exit) => exit.into(),
            Self::Fault { .. } | Self::ForeignExit { .. } => ExitCode::GUEST_FAULT,
            Self::ForeignTrap | Self::BadExit { .. } => ExitCode::CONTRACT_VIOLATION,
            Self::TripleFault => ExitCode::TRIPLE_FAULT,
            Self::RunFailed { .. } | Self::EntryFailed { .. } | Self::Killed { signal: 0 } => {
                ExitCode::HOST_ERROR
            }
            // Its filter kills it so, for a system call outside the gate.
            Self::Killed { signal } if i32::from(signal) == libc::SIGSYS => ExitCode::CONTRACT_VIOLATION,
            Self::Killed { signal } => ExitCode::signal(signal),
        }
    }

    fn to_raw(self) -> (u32, u64, u64) {
        match self {
            Self::Exit(exit) => (0, exit.to_raw(), 0),
            Self::Fault { vector } => (1, u64::from(vector), 0),
            Self::ForeignTrap => (2, 0, 0),
            Self::BadExit { argument } => (3, argument, 0),
            Self::ForeignExit { reason, detail } => (4, u64::from(reason), detail),
            Self::TripleFault => (5, 0, 0),
            Self::RunFailed { errno } => (6, u64::from(errno.unsigned_abs()), 0),
            Self::EntryFailed { reason } => (7, reason, 0),
            Self::Killed { signal } => (8, u64::from(signal), 0),
        }
    }

    fn from_raw(kind: u32, first: u64, second: u64) -> Option<Self> {
        Some(match kind {
            0 => Self::Exit(GuestExit::from_raw(first).ok()?),
            1 => Self::Fault { vector: u8::try_from(first).ok()? },
            2 => Self::ForeignTrap,
            3 => Self::BadExit { argument: first },
            4 => Self::ForeignExit { reason: u32::try_from(first).ok()?, detail: second },
            5 => Self::TripleFault,
            6 => Self::RunFailed { errno: i32::try_from(first).ok()? },
            7 => Self::EntryFailed { reason: first },
            8 => Self::Killed { signal: u8::try_from(first).ok()? },
            _ => return None,
        })
    }
}

hvcall::wire_struct! {
    /// The report as it crosses the pipe, in one write.
    pub struct EndRecord {
        /// Kind of end.
        pub kind: u32,
        /// Number of `frames`.
        pub frame_count: u32,
        /// First number of the end.
        pub first: u64,
        /// Second number of the end.
        pub second: u64,
        /// Error code that the CPU pushed.
        pub error_code: u64,
        /// Address that a page fault was about.
        pub fault_address: u64,
        /// Where: RIP minus the image's base, or all ones for an address outside the image.
        pub rip_offset: u64,
        /// RIP itself.
        pub rip: u64,
        /// RFLAGS.
        pub rflags: u64,
        /// General registers, in [`super::vcpu::Registers::NAMES`] order.
        pub general: [u64; 16],
        /// Lowest address of the stack.
        pub stack_base: u64,
        /// First address after the stack; 0 in a record without registers.
        pub stack_end: u64,
        /// Return addresses minus the image's base, innermost first.
        pub frames: [u64; MAX_FRAMES],
    }
}
// One write to a pipe of at most this many bytes arrives whole (POSIX: PIPE_BUF).
static_assertions::const_assert!(size_of::<EndRecord>() <= 4096);

/// `rip_offset` of an address outside the image.
pub const OUTSIDE: u64 = u64::MAX;

impl EndRecord {
    /// A record that says only how the run ended.
    #[must_use]
    pub fn new(end: End) -> Self {
        let (kind, first, second) = end.to_raw();
        Self { kind, first, second, rip_offset: OUTSIDE, ..Self::default() }
    }

    /// How the run ended, or `None` if the record is not one that [`EndRecord::new`] makes.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        End::from_raw(self.kind, self.first, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_survives_the_pipe_and_has_its_exit_code() {
        for (end, code) in [
            (End::Exit(GuestExit::Status(7)), 7),
            (End::Exit(GuestExit::Panic), 80),
            (End::Fault { vector: 14 }, 81),
            (End::ForeignExit { reason: 6, detail: 1 << 40 }, 81),
            (End::TripleFault, 82),
            (End::ForeignTrap, 83),
            (End::BadExit { argument: u64::MAX }, 83),
            (End::RunFailed { errno: 14 }, 71),
            (End::EntryFailed { reason: 0x8000_0021 }, 71),
            (End::Killed { signal: 31 }, 83),
            (End::Killed { signal: 9 }, 137),
            (End::Killed { signal: 0 }, 71),
        ] {
            assert_eq!(EndRecord::new(end).end(), Some(end));
            assert_eq!(end.exit_code(), ExitCode(code));
        }
        assert_eq!(EndRecord { kind: 9, ..EndRecord::default() }.end(), None);
    }
}
