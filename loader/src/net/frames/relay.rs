//! The relay process of a NIC with a policy: frames from one descriptor to the other, judged on the way.
//!
//! It has two descriptors and standard error, and six system calls. Nothing is allocated once it runs. A side that takes nothing
//! holds up the frames to it, of which one waits here; the rest wait where they are, or are dropped by the network.

use core::fmt::Write as _;
use std::io::IoSlice;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::Instant;

use hvcall::ExitCode;
use hvcall::frame::MAX_FRAME_BYTES;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use seccompiler::{BackendError, BpfProgram};

use super::{Direction, FramePolicy, Reason, Verdict};
use crate::exit;
use crate::net::tap::VNET_HEADER_BYTES;
use crate::sandbox::rules::{Rules, at_most, int, on, word};
use crate::sandbox::{STDERR, SandboxError, landlock, privileges, step};

/// Frames of one direction before the other gets its turn.
const BATCH: usize = 64;
const BUFFER_BYTES: usize = VNET_HEADER_BYTES + MAX_FRAME_BYTES as usize + 1;

/// A relay that is ready to run.
#[derive(Debug)]
pub struct Relay {
    /// The rules.
    pub policy: FramePolicy,
    /// Where frames of the outside come from and go to: non-blocking, one frame per read or write.
    pub outside: OwnedFd,
    /// Each frame is preceded by a `struct virtio_net_hdr`, on both sides.
    pub vnet_header: bool,
    /// What is said of it: appliance and NIC.
    pub name: String,
    /// Whether to say at the end how many frames were dropped.
    pub verbose: bool,
}

/// One direction.
struct Lane {
    direction: Direction,
    vnet_header: bool,
    buffer: Box<[u8]>,
    /// Length of the frame that waits to be taken.
    waiting: Option<usize>,
    passed: u64,
    dropped: [u64; Reason::ALL.len()],
}

/// The other end of one side is gone.
struct Gone;

impl Relay {
    /// Becomes the relay between `inside`, the other end of which is the monitor's, and the outside. To be called in a freshly forked
    /// process of one thread; it dies with the thread that forked it.
    ///
    /// Ends the process: with 0 when one of the two sides is gone, with 71 after a line on standard error if the sandbox could not be
    /// set up.
    pub fn run(mut self, inside: OwnedFd) -> ! {
        // Everything that takes memory comes before the walls, and nothing is dropped behind them.
        let mut out = Lane::new(Direction::FromGuest, self.vnet_header);
        let mut back = Lane::new(Direction::ToGuest, self.vnet_header);
        let status = match enter([inside.as_raw_fd(), self.outside.as_raw_fd()]) {
            Ok(()) => {
                self.serve(&inside, &mut out, &mut back);
                ExitCode(0)
            }
            Err(error) => {
                crate::say!("ringwall: {}: {error}", self.name);
                ExitCode::HOST_ERROR
            }
        };
        exit::at_once(status)
    }

    fn serve(&mut self, inside: &OwnedFd, out: &mut Lane, back: &mut Lane) {
        let start = Instant::now();
        loop {
            let wanted = |from: &Lane, to: &Lane| {
                let read = if from.waiting.is_none() { PollFlags::IN } else { PollFlags::empty() };
                let write = if to.waiting.is_some() { PollFlags::OUT } else { PollFlags::empty() };
                read | write
            };
            let mut fds = [
                PollFd::from_borrowed_fd(inside.as_fd(), wanted(out, back)),
                PollFd::from_borrowed_fd(self.outside.as_fd(), wanted(back, out)),
            ];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => break,
            }
            let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
            let is_gone = fds.iter().any(|fd| fd.revents().intersects(gone));
            self.policy.set_time(start.elapsed().as_secs());
            let out_moved = out.carry(&mut self.policy, inside, &self.outside);
            let back_moved = back.carry(&mut self.policy, &self.outside, inside);
            // What a side has left behind when it went is still carried.
            let moved = matches!((&out_moved, &back_moved), (Ok(true), _) | (_, Ok(true)));
            if !moved && (is_gone || out_moved.is_err() || back_moved.is_err()) {
                break;
            }
        }
        if self.verbose {
            out.tell(&self.name);
            back.tell(&self.name);
        }
    }
}

impl Lane {
    fn new(direction: Direction, vnet_header: bool) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { direction, vnet_header, buffer, waiting: None, passed: 0, dropped: [0; Reason::ALL.len()] }
    }

    fn judge(&self, policy: &mut FramePolicy, size_bytes: usize) -> Verdict {
        let message = &self.buffer[..size_bytes];
        match message.split_first_chunk() {
            _ if !self.vnet_header => policy.judge(message, self.direction),
            Some((header, frame)) => policy.judge_with_header(header, frame, self.direction),
            None => Verdict::Drop(Reason::Malformed),
        }
    }

    /// Carries frames until there are none, the other side takes none, or it is the other lane's turn. Says if there were any.
    fn carry(&mut self, policy: &mut FramePolicy, from: &OwnedFd, to: &OwnedFd) -> Result<bool, Gone> {
        for taken in 0..BATCH {
            let size_bytes = match self.waiting.take() {
                Some(size_bytes) => size_bytes,
                None => match rustix::io::read(from, &mut self.buffer[..]) {
                    // An empty message, or the end; the event says which.
                    Ok(0) | Err(Errno::AGAIN | Errno::INTR) => return Ok(taken > 0),
                    Ok(size_bytes) => match self.judge(policy, size_bytes) {
                        Verdict::Pass => size_bytes,
                        Verdict::Drop(reason) => {
                            self.drop(reason);
                            continue;
                        }
                    },
                    Err(_) => return Err(Gone),
                },
            };
            match rustix::io::write(to, &self.buffer[..size_bytes]) {
                Ok(_) => self.passed += 1,
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.waiting = Some(size_bytes);
                    return Ok(taken > 0);
                }
                Err(Errno::PIPE | Errno::CONNRESET | Errno::BADF | Errno::BADFD) => return Err(Gone),
                Err(_) => self.drop(Reason::Refused),
            }
        }
        Ok(true)
    }

    fn drop(&mut self, reason: Reason) {
        if let Some(index) = Reason::ALL.iter().position(|known| *known == reason) {
            self.dropped[index] += 1;
        }
    }

    /// One line: how many frames passed and were dropped, and why. Nothing is allocated.
    fn tell(&self, name: &str) {
        let mut line = heapless::String::<512>::new();
        let way = match self.direction {
            Direction::FromGuest => "out",
            Direction::ToGuest => "in",
        };
        let total: u64 = self.dropped.iter().sum();
        // A line that does not fit is cut: what is there already is worth printing.
        let _ = write!(line, "ringwall: {name}: frames {way}: {} passed, {total} dropped", self.passed);
        for (reason, count) in Reason::ALL.iter().zip(self.dropped).filter(|(_, count)| *count != 0) {
            let _ = write!(line, ", {reason} {count}");
        }
        let _ = rustix::io::writev(
            rustix::stdio::stderr(),
            &[IoSlice::new(line.as_bytes()), IoSlice::new(b"\n")],
        );
    }
}

/// Puts up all walls. The calling process must have one thread.
pub(super) fn enter(keep: [RawFd; 2]) -> Result<(), SandboxError> {
    privileges::ignore_signals();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("parent-death signal"))?;
    privileges::close_others(&keep)?;
    privileges::drop_all()?;
    landlock::close_all()?;
    privileges::limit_threads()?;
    Ok(seccompiler::apply_filter(&filter(keep)?)?)
}

/// The system-call filter of a relay with these descriptors.
///
/// # Errors
/// Those of the filter's compiler.
pub fn filter(descriptors: [RawFd; 2]) -> Result<BpfProgram, BackendError> {
    let mut rules = Rules::default();
    for fd in descriptors {
        rules.pinned(libc::SYS_read, &[on(fd), at_most(2, BUFFER_BYTES as u64)]);
        rules.pinned(libc::SYS_write, &[on(fd), at_most(2, BUFFER_BYTES as u64)]);
    }
    rules.pinned(libc::SYS_writev, &[on(STDERR), at_most(2, 2)]);
    rules.pinned(libc::SYS_ppoll, &[at_most(1, 2), word(3, 0)]);
    // For hosts on which reading the time needs the kernel.
    rules.pinned(libc::SYS_clock_gettime, &[int(0, libc::CLOCK_MONOTONIC)]);
    rules.any(libc::SYS_exit_group);
    rules.program()
}
