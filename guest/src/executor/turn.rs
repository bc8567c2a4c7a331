//! The loop: run what is ready, then trap once.
#![expect(unsafe_code, reason = "runs the batch of calls that the drivers staged")]

use core::pin::{Pin, pin};
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

use hvcall::{Call, Events, Status};

use super::{Driver, Executor};
use crate::hv::{self, Slot};
use crate::time::Instant;

/// Most task runs before the host is asked for news. Tasks that are ready all the time cannot keep packets and the shut-down
/// event out, and a trap, some 25 µs on the slowest host, stays small beside so many runs.
const RUNS_PER_TURN: usize = 256;

/// Outside an image the drivers have no machine, and other threads could run tasks that must stay on theirs.
const CAN_RUN: bool = cfg!(any(ringwall_image, test));

impl Executor {
    /// Runs `main`, and the tasks it spawns, until `main` is done.
    ///
    /// # Panics
    /// Outside an image. In an image when the monitor refuses to wait, which is a bug.
    pub(super) fn run<F: Future>(&'static self, main: F) -> F::Output {
        if !CAN_RUN {
            refused(Status::NOSYS);
        }
        let mut main = pin!(main);
        let waker = self.main_waker();
        let mut batch = hv::Batch::default();
        self.main_ready.store(true, Ordering::Release);
        loop {
            if let Poll::Ready(output) = self.run_until_idle(main.as_mut(), &waker) {
                return output;
            }
            self.trap(&mut batch);
        }
    }

    /// Runs tasks and drivers until there is nothing to do or the host has waited long enough.
    fn run_until_idle<F: Future>(&self, mut main: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
        let mut runs = 0;
        loop {
            if self.main_ready.swap(false, Ordering::AcqRel) {
                let polled = main.as_mut().poll(&mut Context::from_waker(waker));
                if polled.is_ready() {
                    return polled;
                }
                runs += 1;
            }
            runs += self.run_tasks(RUNS_PER_TURN);
            if self.has_ready() && runs < RUNS_PER_TURN {
                continue;
            }
            let progress = self.poll_drivers();
            if runs >= RUNS_PER_TURN || !(progress || self.has_ready()) {
                break;
            }
            runs += 1;
        }
        Poll::Pending
    }

    /// Runs each task that is ready now, at most `limit` of them, once. A task woken meanwhile has its turn in the next round.
    fn run_tasks(&self, limit: usize) -> usize {
        let count = self.ready.lock().len().min(limit);
        for _ in 0..count {
            let Some(runnable) = self.ready.lock().pop_front() else { break };
            runnable.run();
        }
        count
    }

    fn has_ready(&self) -> bool {
        self.main_ready.load(Ordering::Acquire) || !self.ready.lock().is_empty()
    }

    fn poll_drivers(&self) -> bool {
        let mut progress = false;
        for driver in self.drivers() {
            progress |= driver.poll(Instant::now());
        }
        progress
    }

    /// The registered drivers. The lock is not held while one works, for it may register another.
    fn drivers(&self) -> impl Iterator<Item = &'static dyn Driver> {
        (0..).map_while(|index| self.driver(index))
    }

    #[inline(never)] // five loops ask for it
    fn driver(&self, index: usize) -> Option<&'static dyn Driver> {
        self.drivers.lock().get(index).copied()
    }

    /// Sends, waits and receives, with one trap.
    fn trap(&self, batch: &mut hv::Batch) {
        crate::console::flush();
        batch.clear();
        let staged =
            self.drivers().fold(Events::empty(), |events, driver| events | driver.stage_output(batch));
        let interest = staged | self.shutdown.interest();
        let wait = batch.push(&Call::Wait { deadline_ns: self.deadline().as_ns(), interest });
        for driver in self.drivers() {
            driver.stage_input(batch);
        }
        // SAFETY: every call but the wait was staged by a driver, and drivers (there are none outside this crate) promise that
        // the memory which their calls name lives for ever and is left alone until `complete`, below.
        let ran = unsafe { batch.run() };
        match ran.and_then(|()| wait.map_or(Err(Status::INVAL), |slot: Slot| batch.result(slot))) {
            Ok(ready) if Events::from_bits_truncate(ready).contains(Events::SHUTDOWN) => {
                self.shutdown.begin()
            }
            Ok(_) => {}
            Err(status) => refused(status),
        }
        for driver in self.drivers() {
            driver.complete(batch);
        }
    }

    /// Until when there is nothing to do. Asked after the outputs were staged, since staging may wake a task.
    fn deadline(&self) -> Instant {
        if self.has_ready() {
            return Instant::from_ns(0);
        }
        self.drivers().map(Driver::deadline).min().unwrap_or(Instant::FAR_FUTURE)
    }
}

#[cold]
#[expect(clippy::panic, reason = "an appliance that cannot wait cannot go on")]
fn refused(status: Status) -> ! {
    panic!("the executor cannot wait: {status}");
}
