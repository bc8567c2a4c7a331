//! One disk's requests: waiting to be submitted, in flight, done.
//!
//! A request is a slot of a slab; its key is the tag that comes back in the completion. The slot owns the data. It is freed by
//! the last who needs it: by the future that takes the result, or, once that is dropped, by the completion.
#![expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide")]

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Waker;

use hvcall::{Completion, MAX_ENTRIES, Operation, Request, Status};
use slab::Slab;

const MAX_AT_ONCE: usize = MAX_ENTRIES as usize;

/// What a request does, and with what.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) operation: Operation,
    pub(super) sector: u64,
    pub(super) sectors: u32,
    /// Data to write, or room for what is read. Empty for flush and discard.
    pub(super) data: Vec<u8>,
}

/// A finished request: its data, as read, or the status that it failed with.
pub(super) type Outcome = Result<Vec<u8>, Status>;

/// Who is to be told, once the queue's lock is released.
pub(super) type Wakers = heapless::Vec<Waker, MAX_AT_ONCE>;

#[derive(Debug)]
enum State {
    /// Not yet accepted by the monitor.
    Waiting,
    /// Accepted: the host may use the data.
    InFlight,
    /// Over.
    Done(Result<(), Status>),
}

#[derive(Debug)]
struct Slot {
    job: Job,
    state: State,
    /// Who awaits the result. Until it is over, `None` says that nobody does any more.
    waker: Option<Waker>,
}

impl Slot {
    fn request(&mut self, tag: u64) -> Request {
        let Job { operation, sector, sectors, ref mut data } = self.job;
        // The address is exposed: the host reads or writes the data through it until the request completes, and the slot is
        // left alone until then.
        let address = if data.is_empty() { 0 } else { data.as_mut_ptr() as u64 };
        Request { tag, sector, address, sectors, operation: operation.to_raw() }
    }
}

/// The slots, and memory for the arrays that calls name. It must not move while a call is staged.
#[derive(Debug)]
pub(super) struct Queue {
    slots: Slab<Slot>,
    /// Keys of the slots that wait, in order.
    waiting: VecDeque<usize>,
    in_flight: usize,
    /// Requests of the staged `block_submit`; their tags are their keys.
    requests: heapless::Vec<Request, MAX_AT_ONCE>,
    completions: [Completion; MAX_AT_ONCE],
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            slots: Slab::new(),
            waiting: VecDeque::new(),
            in_flight: 0,
            requests: heapless::Vec::new(),
            completions: [Completion { tag: 0, result: 0 }; MAX_AT_ONCE],
        }
    }

    /// Takes in a request and names it.
    pub(super) fn push(&mut self, job: Job, waker: Waker) -> usize {
        let key = self.slots.insert(Slot { job, state: State::Waiting, waker: Some(waker) });
        self.waiting.push_back(key);
        key
    }

    /// The outcome, if the request is over; it is then forgotten. If not, `waker` is told when it is, and the one that was to
    /// be told before comes back, to be dropped outside the lock.
    pub(super) fn take(&mut self, key: usize, waker: Waker) -> Result<Outcome, Option<Waker>> {
        let Some(slot) = self.slots.get_mut(key) else { return Err(Some(waker)) };
        if let State::Done(result) = slot.state {
            let data = self.slots.remove(key).job.data;
            return Ok(result.map(|()| data));
        }
        Err(slot.waker.replace(waker))
    }

    /// Nobody awaits the request any more. What comes back is to be dropped outside the lock.
    pub(super) fn abandon(&mut self, key: usize) -> Option<Waker> {
        let slot = self.slots.get_mut(key)?;
        let waker = slot.waker.take();
        if matches!(slot.state, State::Done(_)) {
            self.slots.remove(key);
        }
        waker
    }

    /// The requests to submit next.
    pub(super) fn stage(&mut self) -> &[Request] {
        while !self.requests.is_full()
            && let Some(key) = self.waiting.pop_front()
        {
            match self.slots.get_mut(key) {
                Some(slot) if slot.waker.is_some() => {
                    // Fits: it is not full.
                    let _ = self.requests.push(slot.request(key as u64));
                }
                // An abandoned request that the monitor has not seen never happens.
                _ => drop(self.slots.try_remove(key)),
            }
        }
        &self.requests
    }

    /// Whether the monitor has, or is about to get, something that will complete.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight > 0 || !self.requests.is_empty()
    }

    /// Room for completions.
    pub(super) fn completions(&mut self) -> &mut [Completion] {
        &mut self.completions
    }

    /// Takes what the monitor said to the staged requests.
    pub(super) fn submitted(&mut self, result: Result<u64, Status>) -> Wakers {
        let accepted = match result {
            Ok(accepted) => (accepted as usize).min(self.requests.len()),
            // They wait until something completes. With nothing in flight that would be for ever.
            Err(Status::AGAIN) if self.in_flight > 0 => 0,
            // Each request was checked before, so it is not one of them that is wrong, but the disk.
            Err(status) => return self.refuse(status),
        };
        for request in self.requests.iter().take(accepted) {
            if let Some(slot) = self.slots.get_mut(request.tag as usize) {
                slot.state = State::InFlight;
                self.in_flight += 1;
            }
        }
        for request in self.requests.iter().skip(accepted).rev() {
            self.waiting.push_front(request.tag as usize);
        }
        self.requests.clear();
        Wakers::new()
    }

    fn refuse(&mut self, status: Status) -> Wakers {
        let requests = core::mem::take(&mut self.requests);
        requests.iter().filter_map(|request| self.end(request.tag as usize, Err(status))).collect()
    }

    /// Takes the first `count` completions of the array. A tag that is not in flight is the monitor's mistake, and ignored.
    pub(super) fn reaped(&mut self, count: usize) -> Wakers {
        let completions = self.completions;
        completions.iter().take(count).filter_map(|completion| self.finish(completion)).collect()
    }

    fn finish(&mut self, completion: &Completion) -> Option<Waker> {
        let key = completion.tag as usize;
        if !matches!(self.slots.get(key)?.state, State::InFlight) {
            return None;
        }
        self.in_flight -= 1;
        self.end(key, Status::from_result(completion.result).map(drop))
    }

    /// Ends a request. Returns who is to be told; if nobody is, forgets it.
    fn end(&mut self, key: usize, result: Result<(), Status>) -> Option<Waker> {
        let slot = self.slots.get_mut(key)?;
        slot.state = State::Done(result);
        let waker = slot.waker.take();
        if waker.is_none() {
            self.slots.remove(key);
        }
        waker
    }

    /// Number of requests that anybody still needs.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}
