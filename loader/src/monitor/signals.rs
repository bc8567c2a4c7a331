//! The host's wish that the appliance end: SIGTERM, taken from a signalfd.
//!
//! The signal stays blocked. KVM_RUN alone unblocks it (KVM_SET_SIGNAL_MASK), so that it interrupts an endless guest loop;
//! it then waits in the signalfd to be drained, and until it is, KVM_RUN returns at once.
//!
//! Where the guest is a process, its end comes the same way, as SIGCHLD. A wish waits there until the guest's next `wait`: a guest
//! that computes could not be told of it anyhow.

use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use hvcall::{Events, Wire as _};

use super::wait::PollSet;

/// Bytes of `struct signalfd_siginfo` (signalfd(2)).
const SIGNAL_BYTES: usize = 128;
/// Where `ssi_status` lies in it.
const STATUS_OFFSET: usize = 40;

/// Shut-down requests.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    shutdown: bool,
    guest_end: Option<u8>,
}

impl Signals {
    /// Takes over a non-blocking signalfd for SIGTERM, and for SIGCHLD where the guest is a process. The caller has blocked both.
    #[must_use]
    pub const fn new(fd: OwnedFd) -> Self {
        Self { fd, shutdown: false, guest_end: None }
    }

    /// Takes pending signals.
    pub fn drain(&mut self) {
        // A signalfd read returns signals one by one until EAGAIN; equal ones merge while pending, so this ends.
        let mut signal = [0; SIGNAL_BYTES];
        while let Ok(SIGNAL_BYTES) = rustix::io::readv(&self.fd, &mut [IoSliceMut::new(&mut signal)]) {
            // The first three words are the signal, an error number and why; the tenth is the status (signalfd(2)).
            let [number, _, code] = <[u32; 3]>::read(&signal);
            match (number.cast_signed(), code.cast_signed()) {
                (libc::SIGCHLD, libc::CLD_KILLED | libc::CLD_DUMPED) => {
                    let status = u32::read(&signal[STATUS_OFFSET..]);
                    self.guest_end = Some(u8::try_from(status).unwrap_or(0));
                }
                (libc::SIGCHLD, libc::CLD_EXITED) => self.guest_end = Some(0),
                (libc::SIGCHLD, _) => {}
                _ => self.shutdown = true,
            }
        }
    }

    /// Whether the guest's process has been reported dead.
    #[must_use]
    pub const fn guest_is_dead(&self) -> bool {
        self.guest_end.is_some()
    }

    /// Waits for the report of a guest's end that has become known otherwise, for a second at most. Gives the signal that killed
    /// it, or 0.
    pub fn wait_for_guest(&mut self) -> u8 {
        const LIMIT_NS: u64 = 1_000_000_000;
        loop {
            self.drain();
            if let Some(signal) = self.guest_end {
                return signal;
            }
            let mut set = PollSet::new();
            set.add(self.fd(), Events::SHUTDOWN, Events::empty());
            if !set.wait(Some(LIMIT_NS)).is_ok_and(|ready| !ready.is_empty()) {
                return 0;
            }
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
