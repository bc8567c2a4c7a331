//! A link with faults between an appliance and a tap: what `tc netem` does, on every kernel.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use loader::net::tap::Tap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// How many frames in a hundred suffer what, each way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Lost.
    pub(crate) loss: u8,
    /// Carried twice.
    pub(crate) duplication: u8,
    /// Overtaken by those that come within the next two milliseconds.
    pub(crate) reordering: u8,
}

/// A running link. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    guest_end: OwnedFd,
    wire: Arc<OwnedFd>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Joins the tap and a new descriptor for `--net fd:N`.
    pub(crate) fn start(tap: &str, faults: Faults) -> Self {
        let tap = Tap::open(tap, false).unwrap().fd;
        let (guest_end, wire) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .unwrap();
        // The program that is started next inherits it.
        rustix::io::fcntl_setfd(&guest_end, FdFlags::empty()).unwrap();
        let (wire, stop) = (Arc::new(wire), Arc::new(AtomicBool::new(false)));
        let (other, stopped) = (Arc::clone(&wire), Arc::clone(&stop));
        let thread = std::thread::spawn(move || carry(&other, &tap, faults, &stopped));
        Self { guest_end, wire, stop, thread: Some(thread) }
    }

    /// The descriptor's number.
    pub(crate) fn fd(&self) -> RawFd {
        self.guest_end.as_raw_fd()
    }

    /// Puts a frame on the link to the appliance, as if a stranger had sent it. Whether there was room for it.
    pub(crate) fn inject(&self, frame: &[u8]) -> bool {
        rustix::io::write(&*self.wire, frame).is_ok()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A frame that waits, and where it goes.
struct Late {
    at: Instant,
    to_tap: bool,
    frame: Vec<u8>,
}

fn carry(wire: &OwnedFd, tap: &OwnedFd, faults: Faults, stop: &AtomicBool) {
    let mut dice = fastrand::Rng::with_seed(7);
    let mut late: Vec<Late> = Vec::new();
    let mut buffer = vec![0; 65_536];
    let millisecond = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(wire, PollFlags::IN), PollFd::new(tap, PollFlags::IN)];
        let _ready = poll(&mut fds, Some(&millisecond));
        for (from, to_tap) in [(wire, true), (tap, false)] {
            // A read of nothing is the appliance's end.
            while let Ok(size_bytes @ 1..) = rustix::io::read(from, &mut buffer) {
                let mut hits = |percent: u8| dice.u8(0..100) < percent;
                let copies = if hits(faults.loss) { 0 } else { 1 + u8::from(hits(faults.duplication)) };
                let held = hits(faults.reordering);
                for _ in 0..copies {
                    let frame = buffer[..size_bytes].to_vec();
                    if held {
                        late.push(Late { at: Instant::now() + Duration::from_millis(2), to_tap, frame });
                    } else {
                        let _full = rustix::io::write(if to_tap { tap } else { wire }, &frame);
                    }
                }
            }
        }
        late.retain(|waiting| {
            let due = waiting.at <= Instant::now();
            if due {
                let _full = rustix::io::write(if waiting.to_tap { tap } else { wire }, &waiting.frame);
            }
            !due
        });
    }
}
