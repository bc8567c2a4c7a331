//! The executor: every task of the appliance on one thread, one trap per turn.
//!
//! A turn runs the tasks that are ready, lets the device [drivers](driver) do what is due, and, when nothing is left to do,
//! makes one `multicall`: outputs, the wait, inputs. Wake-ups only put a task into the queue of ready tasks: O(1), once
//! however often it is woken, and without running anything, so they may come from anywhere.
//!
//! ```text
//! wake ──> ready queue ──> run ──> drivers poll ──> [ stage output | wait | stage input ] ──> complete ─┐
//!              ^                       │                        one multicall                           │
//!              └───────────────────────┴────────────────────────────────────────────────────────────────┘
//! ```
//!
//! No lock is held while foreign code runs (a future, the drop of a waker or of an output): the kernel has one thread, so a
//! lock taken twice would be taken for ever.

mod driver;
mod main_task;
mod shutdown;
mod task;
mod timer;
mod turn;

use alloc::collections::VecDeque;
use core::sync::atomic::AtomicBool;

use async_task::Runnable;
use spin::Mutex;

pub(crate) use driver::{Driver, register};
pub use shutdown::{Shutdown, is_shutting_down, shutdown};
pub use task::{JoinHandle, YieldNow, spawn, yield_now};
pub use timer::{Elapsed, Sleep, sleep, sleep_until, timeout};

/// The state of one executor. An appliance has one; each test thread has its own.
struct Executor {
    ready: Mutex<VecDeque<Runnable>>,
    /// Whether the main future, which is no task, is to be polled.
    main_ready: AtomicBool,
    drivers: Mutex<heapless::Vec<&'static dyn Driver, { driver::MAX_DRIVERS }>>,
    shutdown: shutdown::State,
    timers: timer::Timers,
}

impl Executor {
    const fn new() -> Self {
        Self {
            ready: Mutex::new(VecDeque::new()),
            main_ready: AtomicBool::new(false),
            drivers: Mutex::new(heapless::Vec::new()),
            shutdown: shutdown::State::new(),
            timers: timer::Timers::new(),
        }
    }

    #[expect(clippy::expect_used, reason = "the crate's own drivers are few")]
    fn register(&self, driver: &'static dyn Driver) {
        let mut drivers = self.drivers.lock();
        assert!(!drivers.iter().any(|&known| core::ptr::addr_eq(known, driver)), "driver registered twice");
        drivers.push(driver).ok().expect("more drivers than the executor has room for");
    }
}

/// Runs `main`, and the tasks it spawns, until `main` is done.
pub(crate) fn run<F: Future>(main: F) -> F::Output {
    current().run(main)
}

#[cfg(not(test))]
fn current() -> &'static Executor {
    static EXECUTOR: Executor = Executor::new();
    &EXECUTOR
}

#[cfg(test)]
fn current() -> &'static Executor {
    std::thread_local! {
        static EXECUTOR: &'static Executor = std::boxed::Box::leak(std::boxed::Box::new(Executor::new()));
    }
    EXECUTOR.with(|executor| *executor)
}
