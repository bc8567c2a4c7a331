//! The host's wish that the appliance end, as a future.

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use hvcall::Events;
use slab::Slab;
use spin::Mutex;

/// Who waits for the shut-down event, and whether it came. It never goes away.
pub(super) struct State {
    begun: AtomicBool,
    waiting: Mutex<Slab<Waker>>,
}

impl State {
    pub(super) const fn new() -> Self {
        Self { begun: AtomicBool::new(false), waiting: Mutex::new(Slab::new()) }
    }

    /// What the wait is to look for: the event, until it came.
    pub(super) fn interest(&self) -> Events {
        if self.begun.load(Ordering::Acquire) { Events::empty() } else { Events::SHUTDOWN }
    }

    /// Wakes everybody, once.
    pub(super) fn begin(&self) {
        if self.begun.swap(true, Ordering::AcqRel) {
            return;
        }
        // One by one: the lock is not held while a waker runs, and nothing is freed, so that an appliance without tasks has no
        // code for it.
        let places = self.waiting.lock().capacity();
        for place in 0..places {
            let waker = self.waiting.lock().try_remove(place);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Completes when the host wants the appliance to end, and at once ever after. What is in progress should then be brought to
/// a good end within the grace period (`ringwall run --grace`).
pub fn shutdown() -> Shutdown {
    Shutdown { key: None }
}

/// Whether the host wants the appliance to end.
#[must_use]
pub fn is_shutting_down() -> bool {
    super::current().shutdown.begun.load(Ordering::Acquire)
}

/// The future of [`shutdown`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Shutdown {
    /// Place among those who wait.
    key: Option<usize>,
}

impl Future for Shutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if is_shutting_down() {
            self.key = None;
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let mut waiting = super::current().shutdown.waiting.lock();
        let previous = match self.key {
            Some(key) => waiting.get_mut(key).map(|place| core::mem::replace(place, waker)),
            None => {
                self.key = Some(waiting.insert(waker));
                None
            }
        };
        drop(waiting);
        drop(previous);
        Poll::Pending
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // Empty once the event came, so the key cannot belong to somebody else.
            let waker = super::current().shutdown.waiting.lock().try_remove(key);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{run, spawn};
    use crate::testing;

    #[test]
    fn the_event_completes_every_waiter_now_and_later() {
        let outcome = run(async {
            let waiters: Vec<_> = (0..3).map(|_| spawn(shutdown())).collect();
            drop(shutdown());
            assert!(!is_shutting_down());
            testing::monitor(|monitor| monitor.shutdown = true);
            for waiter in waiters {
                waiter.await;
            }
            shutdown().await;
            is_shutting_down()
        });
        assert!(outcome);
        assert_eq!(super::super::current().shutdown.waiting.lock().len(), 0);
    }

    #[test]
    fn a_dropped_waiter_leaves_no_waker_behind() {
        run(async {
            let mut waiter = Box::pin(shutdown());
            core::future::poll_fn(|context| {
                assert!(waiter.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(super::super::current().shutdown.waiting.lock().len(), 1);
            drop(waiter);
            assert_eq!(super::super::current().shutdown.waiting.lock().len(), 0);
        });
    }
}
