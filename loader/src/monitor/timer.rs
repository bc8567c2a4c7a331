//! A clock for hosts whose own takes a system call that nothing else here does: a periodic timer, read as signals and frames are.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_getres,
    timerfd_create, timerfd_settime,
};

/// Length of a period, unless the host's timers are coarser.
const TICK_NS: i64 = 1_000;

/// A timer that has been started. It interrupts nobody again before it has been read: then it tells how many periods are over.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
    tick_ns: u64,
    ticks: Cell<u64>,
    monotonic_ns: u64,
    wall_ns: u64,
}

impl Timer {
    /// Starts one at these times.
    pub(super) fn start(monotonic_ns: u64, wall_ns: u64) -> io::Result<Self> {
        // The kernel makes shorter periods as long as that (kernel/time/hrtimer.c, v6.12, `hrtimer_forward`), and it says so here.
        let coarsest = clock_getres(ClockId::Monotonic).tv_nsec;
        let period = Timespec { tv_sec: 0, tv_nsec: coarsest.max(TICK_NS) };
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let setting = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&fd, TimerfdTimerFlags::empty(), &setting)?;
        let tick_ns = period.tv_nsec.unsigned_abs();
        Ok(Self { fd, tick_ns, ticks: Cell::new(0), monotonic_ns, wall_ns })
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.saturating_add(self.elapsed_ns())
    }

    pub(super) fn wall_ns(&self) -> u64 {
        self.wall_ns.saturating_add(self.elapsed_ns())
    }

    fn elapsed_ns(&self) -> u64 {
        let mut over = [0; 8];
        // Within a period of the last reading there is nothing to read (timerfd_create(2), "read(2)").
        if rustix::io::readv(&self.fd, &mut [IoSliceMut::new(&mut over)]) == Ok(over.len()) {
            self.ticks.set(self.ticks.get().saturating_add(u64::from_ne_bytes(over)));
        }
        self.ticks.get().saturating_mul(self.tick_ns)
    }
}
