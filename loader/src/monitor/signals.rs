//! The host's wish that the appliance end: SIGTERM, taken from a signalfd.
//!
//! The signal stays blocked. KVM_RUN alone unblocks it (KVM_SET_SIGNAL_MASK), so that it interrupts an endless guest loop;
//! it then waits in the signalfd to be drained, and until it is, KVM_RUN returns at once.

use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// Bytes of `struct signalfd_siginfo` (signalfd(2)).
const SIGNAL_BYTES: usize = 128;

/// Shut-down requests.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    shutdown: bool,
}

impl Signals {
    /// Takes over a non-blocking signalfd for SIGTERM, which the caller has blocked.
    #[must_use]
    pub const fn new(fd: OwnedFd) -> Self {
        Self { fd, shutdown: false }
    }

    /// Takes pending signals.
    pub fn drain(&mut self) {
        // A signalfd read returns signals one by one until EAGAIN; equal ones merge while pending, so this ends.
        let mut signal = [0; SIGNAL_BYTES];
        while let Ok(SIGNAL_BYTES) = rustix::io::readv(&self.fd, &mut [IoSliceMut::new(&mut signal)]) {
            self.shutdown = true;
        }
    }

    /// Whether a shut-down was ever asked for.
    #[must_use]
    pub const fn shutdown(&self) -> bool {
        self.shutdown
    }

    /// The descriptor, to wait on.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor's number, for the sandbox.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}
