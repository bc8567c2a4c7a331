//! The disks' part in the executor's turn: one submit and one reap for each disk that has something to do.

use alloc::boxed::Box;

use hvcall::{Call, DiskInfo, Events, MAX_DISKS};
use spin::Mutex;

use super::queue::{Queue, Wakers};
use crate::executor::{self, Driver};
use crate::hv::{self, Slot};
use crate::time::Instant;

/// A disk that is open. It stays so for ever, and in its place.
#[derive(Debug)]
pub(super) struct Device {
    index: usize,
    pub(super) info: DiskInfo,
    pub(super) queue: Mutex<Queue>,
    calls: Mutex<Calls>,
}

/// Places of the disk's calls in the turn's batch.
#[derive(Debug, Default)]
struct Calls {
    submit: Option<Slot>,
    reap: Option<Slot>,
}

/// All open disks.
pub(super) struct BlockDriver {
    devices: Mutex<heapless::Vec<&'static Device, MAX_DISKS>>,
}

/// The appliance's disks.
pub(super) static DRIVER: BlockDriver = BlockDriver::new();

impl BlockDriver {
    pub(super) const fn new() -> Self {
        Self { devices: Mutex::new(heapless::Vec::new()) }
    }

    /// The disk of that index, opened if it is not yet. `None` if `index` is not below [`MAX_DISKS`].
    pub(super) fn open(&'static self, index: usize, info: DiskInfo) -> Option<&'static Device> {
        let mut devices = self.devices.lock();
        if let Some(device) = devices.iter().find(|device| device.index == index) {
            return Some(device);
        }
        if index >= MAX_DISKS {
            return None;
        }
        if devices.is_empty() {
            executor::register(self);
        }
        let (queue, calls) = (Mutex::new(Queue::new()), Mutex::default());
        let device: &'static Device = Box::leak(Box::new(Device { index, info, queue, calls }));
        devices.push(device).ok()?;
        Some(device)
    }

    /// The open disks. The lock is not held while one works.
    fn devices(&self) -> impl Iterator<Item = &'static Device> {
        (0..).map_while(|number| self.devices.lock().get(number).copied())
    }
}

// The memory that staged calls name is the arrays of `Queue`, in a `Device` that is never freed, and the data of its slots,
// which is left alone until their completion: the promise of `Driver`.
impl Driver for BlockDriver {
    fn poll(&self, _now: Instant) -> bool {
        false
    }

    fn deadline(&self) -> Instant {
        Instant::FAR_FUTURE
    }

    fn stage_output(&self, batch: &mut hv::Batch) -> Events {
        self.devices().fold(Events::empty(), |events, device| events | device.stage_submit(batch))
    }

    fn stage_input(&self, batch: &mut hv::Batch) {
        for device in self.devices() {
            device.stage_reap(batch);
        }
    }

    fn complete(&self, batch: &hv::Batch) {
        for device in self.devices() {
            device.complete(batch);
        }
    }
}

impl Device {
    fn stage_submit(&self, batch: &mut hv::Batch) -> Events {
        let mut queue = self.queue.lock();
        let requests = queue.stage();
        if !requests.is_empty() {
            let requests = hv::array_of(requests);
            self.calls.lock().submit = batch.push(&Call::BlockSubmit { device: self.index, requests });
        }
        if queue.is_busy() { Events::disk(self.index) } else { Events::empty() }
    }

    fn stage_reap(&self, batch: &mut hv::Batch) {
        let mut queue = self.queue.lock();
        if queue.is_busy() {
            let completions = hv::array_of_mut(queue.completions());
            self.calls.lock().reap = batch.push(&Call::BlockReap { device: self.index, completions });
        }
    }

    fn complete(&self, batch: &hv::Batch) {
        let calls = core::mem::take(&mut *self.calls.lock());
        if let Some(submit) = calls.submit {
            wake_all(self.queue.lock().submitted(batch.result(submit)));
        }
        if let Some(reap) = calls.reap
            && let Ok(count) = batch.result(reap)
        {
            wake_all(self.queue.lock().reaped(usize::try_from(count).unwrap_or(usize::MAX)));
        }
    }
}

fn wake_all(wakers: Wakers) {
    for waker in wakers {
        waker.wake();
    }
}
