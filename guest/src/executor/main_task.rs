//! The waker of the main future.
//!
//! The main future is polled where it lies, on the stack of [`Executor::run`](super::Executor): an appliance that spawns
//! nothing needs no heap.
#![expect(unsafe_code, reason = "a waker without allocation is made from a table of functions")]

use core::sync::atomic::Ordering;
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::Executor;

const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop);

impl Executor {
    /// A waker that has the main future polled.
    pub(super) fn main_waker(&'static self) -> Waker {
        let data = core::ptr::from_ref(self).cast();
        // SAFETY: the functions keep RawWakerVTable's contract: each can be called from anywhere at any time, since all they
        // touch is an atomic of an executor that lives for ever, so there is nothing to count or free.
        unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
    }
}

fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    // SAFETY: `main_waker` made `data` from a `&'static Executor`, and only the functions here ever see it.
    let executor = unsafe { &*data.cast::<Executor>() };
    executor.main_ready.store(true, Ordering::Release);
}

fn drop(_data: *const ()) {}
