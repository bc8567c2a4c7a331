//! Tasks: futures that run on their own.
#![expect(unsafe_code, reason = "tasks need not be Send, which only a kernel with one thread can promise")]

use core::pin::Pin;
use core::task::{Context, Poll};

use async_task::Task;

/// Runs `future` as a task of its own, beside whoever spawned it. A task lives until it is done or [aborted](JoinHandle::abort);
/// when the main future is done the appliance ends, with all tasks.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let executor = super::current();
    let schedule = move |runnable| executor.ready.lock().push_back(runnable);
    // SAFETY: the preconditions of `spawn_unchecked` are about lifetimes and threads. `future` and `schedule` are 'static.
    // `schedule` is Send and Sync. A future that is not Send must be run and dropped on the thread that spawned it: an image
    // has one thread; under test each thread has an executor of its own, which alone runs what is queued on it; elsewhere
    // `Executor::run` refuses to run anything.
    let (runnable, task) = unsafe { async_task::spawn_unchecked(future, schedule) };
    runnable.schedule();
    JoinHandle { task: Some(task) }
}

/// A task's result, to be awaited. Dropping the handle lets the task go on by itself.
#[derive(Debug)]
#[must_use = "dropping the handle lets the task go on by itself: say so with `drop` or `.detach()`"]
pub struct JoinHandle<T> {
    /// `None` only while being dropped or consumed.
    task: Option<Task<T>>,
}

impl<T> JoinHandle<T> {
    /// Lets the task go on by itself.
    pub fn detach(self) {}

    /// Ends the task: its future is dropped, unrun, when its turn comes.
    pub fn abort(mut self) {
        drop(self.task.take());
    }

    /// Whether the task is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(Task::is_finished)
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // A handle that can be polled still has its task: what takes it consumes the handle.
        self.task.as_mut().map_or(Poll::Pending, |task| Pin::new(task).poll(context))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

/// Lets every other task that is ready run first.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::run;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    #[test]
    fn a_task_that_is_not_send_hands_its_output_to_the_awaiter() {
        let shared = Rc::new(Cell::new(0));
        let inner = Rc::clone(&shared);
        let output = run(async {
            spawn(async move {
                inner.set(7);
                Rc::clone(&inner)
            })
            .await
        });
        assert_eq!(output.get(), 7);
        assert!(Rc::ptr_eq(&output, &shared));
    }

    #[test]
    fn tasks_that_yield_take_turns() {
        let order = Rc::new(RefCell::new(Vec::new()));
        run(async {
            let handles = ["a", "b"].map(|name| {
                let order = Rc::clone(&order);
                spawn(async move {
                    for _ in 0..3 {
                        order.borrow_mut().push(name);
                        yield_now().await;
                    }
                })
            });
            for handle in handles {
                handle.await;
            }
        });
        assert_eq!(order.borrow().concat(), "ababab");
    }

    #[test]
    fn waking_many_times_runs_once() {
        let runs = Rc::new(Cell::new(0));
        let counted = Rc::clone(&runs);
        let slot = Rc::new(RefCell::new(None));
        let stored = Rc::clone(&slot);
        run(async {
            spawn(core::future::poll_fn(move |context: &mut Context<'_>| {
                counted.set(counted.get() + 1);
                *stored.borrow_mut() = Some(context.waker().clone());
                Poll::<()>::Pending
            }))
            .detach();
            yield_now().await;
            for _ in 0..100 {
                slot.borrow().as_ref().unwrap().wake_by_ref();
            }
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(runs.get(), 2);
    }

    #[test]
    fn an_aborted_task_is_dropped_and_a_detached_one_goes_on() {
        let alive = Rc::new(());
        let (aborted, detached) = (Rc::clone(&alive), Rc::clone(&alive));
        let done = Rc::new(Cell::new(false));
        let flag = Rc::clone(&done);
        run(async {
            let handle = spawn(async move {
                core::future::pending::<()>().await;
                drop(aborted);
            });
            spawn(async move {
                yield_now().await;
                flag.set(true);
                drop(detached);
            })
            .detach();
            yield_now().await;
            handle.abort();
            for _ in 0..3 {
                yield_now().await;
            }
        });
        assert!(done.get());
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn ten_thousand_tasks_all_finish() {
        let total = run(async {
            let handles: Vec<_> = (0..10_000_u64)
                .map(|index| {
                    spawn(async move {
                        yield_now().await;
                        index
                    })
                })
                .collect();
            let mut total = 0;
            for handle in handles {
                total += handle.await;
            }
            total
        });
        assert_eq!(total, 9_999 * 10_000 / 2);
    }
}
