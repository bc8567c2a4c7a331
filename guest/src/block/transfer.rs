//! One request as a future.

use core::pin::Pin;
use core::task::{Context, Poll};

use super::driver::Device;
use super::queue::{Job, Outcome};

/// A request from its first poll until its outcome is taken.
#[derive(Debug)]
pub(super) struct Transfer {
    device: &'static Device,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    New(Job),
    Queued(usize),
    Over,
}

impl Transfer {
    pub(super) const fn new(device: &'static Device, job: Job) -> Self {
        Self { device, progress: Progress::New(job) }
    }
}

impl Future for Transfer {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let waker = context.waker().clone();
        match core::mem::replace(&mut self.progress, Progress::Over) {
            Progress::New(job) => {
                let key = self.device.queue.lock().push(job, waker);
                self.progress = Progress::Queued(key);
                Poll::Pending
            }
            Progress::Queued(key) => {
                let taken = self.device.queue.lock().take(key, waker);
                match taken {
                    Ok(outcome) => Poll::Ready(outcome),
                    Err(previous) => {
                        drop(previous);
                        self.progress = Progress::Queued(key);
                        Poll::Pending
                    }
                }
            }
            Progress::Over => Poll::Pending,
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Progress::Queued(key) = self.progress {
            let waker = self.device.queue.lock().abandon(key);
            drop(waker);
        }
    }
}
