//! Timers: an ordered map of moments to wakers, part of the turn as a driver like any device.
//!
//! Setting, firing and taking back a timer cost O(log n) of the timers set; a timer that is taken back, as nearly every
//! time-out is, leaves nothing behind.

use alloc::collections::BTreeMap;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use hvcall::Events;
use spin::Mutex;

use super::Driver;
use crate::hv;
use crate::time::{Duration, Instant};

/// When, and a number that sets timers of one moment apart: they fire in the order they were set.
type Key = (Instant, u64);

pub(super) struct Timers {
    registered: AtomicBool,
    queue: Mutex<Queue>,
}

struct Queue {
    next_number: u64,
    wakers: BTreeMap<Key, Waker>,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self {
            registered: AtomicBool::new(false),
            queue: Mutex::new(Queue { next_number: 0, wakers: BTreeMap::new() }),
        }
    }

    fn set(&'static self, deadline: Instant, waker: Waker) -> Key {
        if !self.registered.swap(true, Ordering::AcqRel) {
            super::register(self);
        }
        let mut queue = self.queue.lock();
        let key = (deadline, queue.next_number);
        queue.next_number += 1;
        queue.wakers.insert(key, waker);
        key
    }

    /// Whether the timer is still set, its waker changed to `waker` if that is another one.
    fn keep(&self, key: Key, waker: &Waker) -> bool {
        let mut queue = self.queue.lock();
        let Some(place) = queue.wakers.get_mut(&key) else { return false };
        let previous = (!place.will_wake(waker)).then(|| core::mem::replace(place, waker.clone()));
        drop(queue);
        drop(previous);
        true
    }

    fn take_back(&self, key: Key) {
        let waker = self.queue.lock().wakers.remove(&key);
        drop(waker);
    }

    fn take_due(&self, now: Instant) -> Option<Waker> {
        let mut queue = self.queue.lock();
        let entry = queue.wakers.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

impl Driver for Timers {
    fn poll(&self, now: Instant) -> bool {
        let mut progress = false;
        while let Some(waker) = self.take_due(now) {
            waker.wake();
            progress = true;
        }
        progress
    }

    fn deadline(&self) -> Instant {
        self.queue.lock().wakers.first_key_value().map_or(Instant::FAR_FUTURE, |(key, _)| key.0)
    }

    fn stage_output(&self, _batch: &mut hv::Batch) -> Events {
        Events::empty()
    }

    fn stage_input(&self, _batch: &mut hv::Batch) {}

    fn complete(&self, _batch: &hv::Batch) {}
}

/// Completes after `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now().saturating_add(duration))
}

/// Completes at `deadline`, or at once if that is past. Never for [`Instant::FAR_FUTURE`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, key: None }
}

/// The future of [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    key: Option<Key>,
}

impl Sleep {
    /// When it completes.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timers = &super::current().timers;
        if self.deadline <= Instant::now() {
            if let Some(key) = self.key.take() {
                timers.take_back(key);
            }
            return Poll::Ready(());
        }
        if !self.key.is_some_and(|key| timers.keep(key, context.waker())) {
            self.key = Some(timers.set(self.deadline, context.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            super::current().timers.take_back(key);
        }
    }
}

/// Time ran out before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl core::fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("time ran out")
    }
}

impl core::error::Error for Elapsed {}

/// Gives `future` the time `duration`, from now, to finish; drops it after that.
///
/// # Errors
/// The output is [`Elapsed`] if the time ran out first.
pub fn timeout<F: Future>(duration: Duration, future: F) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let mut sleep = sleep(duration);
    async move {
        let mut future = core::pin::pin!(future);
        core::future::poll_fn(move |context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => Pin::new(&mut sleep).poll(context).map(|()| Err(Elapsed)),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{current, run, spawn, yield_now};
    use crate::testing;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    const MS: Duration = Duration::from_millis(1);

    fn timers_set() -> usize {
        current().timers.queue.lock().wakers.len()
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines_with_one_wait_each() {
        let order = Rc::new(RefCell::new(Vec::new()));
        run(async {
            let sleepers: Vec<_> = [30, 10, 20, 10]
                .map(|ms| {
                    let order = Rc::clone(&order);
                    spawn(async move {
                        sleep(MS * ms).await;
                        order.borrow_mut().push((ms, Instant::now().as_ns() / 1_000_000));
                    })
                })
                .into_iter()
                .collect();
            for sleeper in sleepers {
                sleeper.await;
            }
        });
        assert_eq!(*order.borrow(), [(10, 10), (10, 10), (20, 20), (30, 30)]);
        let deadlines: Vec<u64> =
            testing::monitor(|monitor| monitor.waits.iter().map(|wait| wait.0).collect());
        assert_eq!(deadlines, [10_000_000, 20_000_000, 30_000_000]);
    }

    #[test]
    fn a_task_that_never_rests_keeps_neither_timers_nor_the_host_out() {
        let (stop, seen) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let (stopped, waits) = (Rc::clone(&stop), Rc::clone(&seen));
        run(async {
            spawn(async move {
                while !stopped.get() {
                    waits.set(testing::monitor(|monitor| {
                        monitor.now_ns += 1000;
                        monitor.waits.len()
                    }));
                    yield_now().await;
                }
            })
            .detach();
            sleep(MS).await;
            stop.set(true);
        });
        assert!(seen.get() >= 3, "the host was asked {} times in 1000 task runs", seen.get());
    }

    #[test]
    fn a_past_deadline_does_not_sleep() {
        run(async {
            sleep(Duration::ZERO).await;
            sleep_until(Instant::from_ns(0)).await;
        });
        assert_eq!(testing::monitor(|monitor| monitor.waits.len()), 0);
    }

    #[test]
    fn time_outs_end_what_is_late_and_leave_no_timer_behind() {
        let (late, early) = run(async {
            let late = timeout(MS, core::future::pending::<()>()).await;
            let early = timeout(MS * 1000, async {
                sleep(MS).await;
                5
            })
            .await;
            assert_eq!(timers_set(), 0);
            for _ in 0..1000 {
                let mut sleeper = Box::pin(sleep(MS));
                core::future::poll_fn(|context| {
                    assert!(sleeper.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            (late, early)
        });
        assert_eq!((late, early), (Err(Elapsed), Ok(5)));
        assert_eq!(timers_set(), 0);
    }

    #[test]
    fn a_sleep_polled_by_two_tasks_wakes_the_last() {
        run(async {
            let mut sleeper = Box::pin(sleep(MS));
            core::future::poll_fn(|context| {
                assert!(sleeper.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            spawn(sleeper).await;
        });
        assert_eq!(timers_set(), 0);
    }
}
