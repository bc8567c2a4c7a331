//! One safe function per hypercall, and batches of them.
#![expect(unsafe_code, reason = "turns Rust references into the addresses that calls carry")]
#![expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide")]

use hvcall::call::ClockId;
use hvcall::{
    Call, CallEntry, Completion, Events, Frame, GuestArray, GuestExit, GuestSlice, Gva, Request, Status,
};

use crate::arch::gate;

/// Ends the appliance.
pub fn exit(how: GuestExit) -> ! {
    loop {
        // SAFETY: `exit` names no memory. The loop is never taken: the call does not return.
        unsafe { gate::call(&Call::Exit(how).encode()) };
        core::hint::spin_loop();
    }
}

/// Writes the first bytes of `text` to the console and says how many.
///
/// # Errors
/// See [`Call::ConsoleWrite`].
pub fn console_write(text: &[u8]) -> Result<usize, Status> {
    let text = &text[..text.len().min(hvcall::MAX_CONSOLE_BYTES as usize)];
    // SAFETY: the monitor only reads `text`, which lives until the call returns.
    count(unsafe { gate::call(&Call::ConsoleWrite(slice_of(text)).encode()) })
}

/// Sleeps until one of `interest` is ready or `deadline_ns` has passed.
///
/// # Errors
/// See [`Call::Wait`].
pub fn wait(deadline_ns: u64, interest: Events) -> Result<Events, Status> {
    // SAFETY: `wait` names no memory.
    let result = unsafe { gate::call(&Call::Wait { deadline_ns, interest }.encode()) };
    Status::from_result(result).map(Events::from_bits_truncate)
}

/// Reads a clock, in nanoseconds.
///
/// # Errors
/// See [`Call::Clock`].
pub fn clock(id: ClockId) -> Result<u64, Status> {
    // SAFETY: `clock` names no memory.
    Status::from_result(unsafe { gate::call(&Call::Clock(id).encode()) })
}

/// Fills the first bytes of `bytes`, at most 256, from the host's random generator, and says how many.
///
/// # Errors
/// See [`Call::Entropy`].
pub fn entropy(bytes: &mut [u8]) -> Result<usize, Status> {
    let size_bytes = (bytes.len() as u64).min(hvcall::MAX_ENTROPY_BYTES);
    let target = GuestSlice { address: Gva(bytes.as_mut_ptr() as u64), size_bytes };
    // SAFETY: the monitor writes at most `size_bytes` bytes of `bytes`, which is borrowed mutably until the call returns.
    count(unsafe { gate::call(&Call::Entropy(target).encode()) })
}

/// Sends frames.
///
/// # Errors
/// See [`Call::NetSend`].
///
/// # Safety
/// Each frame's address and length must name readable memory of the caller's.
pub unsafe fn net_send(device: usize, frames: &[Frame]) -> Result<usize, Status> {
    // SAFETY: the monitor reads `frames` and the frames they name, which the caller vouches for.
    count(unsafe { gate::call(&Call::NetSend { device, frames: array_of(frames) }.encode()) })
}

/// Receives frames.
///
/// # Errors
/// See [`Call::NetRecv`].
///
/// # Safety
/// Each frame's address and length must name writable memory that nothing else refers to.
pub unsafe fn net_recv(device: usize, frames: &mut [Frame]) -> Result<usize, Status> {
    // SAFETY: the monitor writes `frames`, borrowed mutably, and the buffers they name, which the caller vouches for.
    count(unsafe { gate::call(&Call::NetRecv { device, frames: array_of_mut(frames) }.encode()) })
}

/// Starts block requests.
///
/// # Errors
/// See [`Call::BlockSubmit`].
///
/// # Safety
/// The memory that each request names must stay valid, and for reads unaliased, until its completion has been reaped.
pub unsafe fn block_submit(device: usize, requests: &[Request]) -> Result<usize, Status> {
    // SAFETY: the monitor reads `requests` now and uses the memory they name as the caller vouches for.
    count(unsafe { gate::call(&Call::BlockSubmit { device, requests: array_of(requests) }.encode()) })
}

/// Collects completions.
///
/// # Errors
/// See [`Call::BlockReap`].
pub fn block_reap(device: usize, completions: &mut [Completion]) -> Result<usize, Status> {
    let call = Call::BlockReap { device, completions: array_of_mut(completions) };
    // SAFETY: the monitor writes `completions`, borrowed mutably until the call returns. The data of the requests that
    // complete was vouched for when they were submitted.
    count(unsafe { gate::call(&call.encode()) })
}

/// Several calls in one trap.
#[derive(Debug, Default)]
pub struct Batch {
    entries: heapless::Vec<CallEntry, { hvcall::MAX_ENTRIES as usize }>,
}

/// Place of a call in its [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Batch {
    /// Adds a call and names its place, or `None` if the batch is full.
    pub fn push(&mut self, call: &Call) -> Option<Slot> {
        self.entries.push(call.encode().into()).ok()?;
        Some(Slot(self.entries.len() - 1))
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Carries out the calls, in order.
    ///
    /// # Errors
    /// See [`Call::Multicall`]; each call's own result is read with [`Batch::result`].
    ///
    /// # Safety
    /// As for each call on its own: the memory it names must be valid for what it does.
    pub unsafe fn run(&mut self) -> Result<(), Status> {
        let call = Call::Multicall(array_of_mut(&mut self.entries));
        // SAFETY: the monitor writes the entries' results, borrowed mutably; the caller vouches for what the entries name.
        count(unsafe { gate::call(&call.encode()) }).map(drop)
    }

    /// Result of a call after [`Batch::run`].
    ///
    /// # Errors
    /// The call's status. `INVAL` for a slot of another batch.
    pub fn result(&self, slot: Slot) -> Result<u64, Status> {
        let entry = self.entries.get(slot.0).ok_or(Status::INVAL)?;
        Status::from_result(entry.result)
    }

    /// Empties the batch.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

fn slice_of(bytes: &[u8]) -> GuestSlice {
    GuestSlice { address: Gva(bytes.as_ptr() as u64), size_bytes: bytes.len() as u64 }
}

/// The first 64 entries of a descriptor array, as calls take it.
#[must_use]
pub fn array_of<T>(entries: &[T]) -> GuestArray {
    let count = (entries.len() as u64).min(hvcall::MAX_ENTRIES);
    GuestArray { address: Gva(entries.as_ptr() as u64), count }
}

/// The first 64 entries of a descriptor array that the monitor will write.
pub fn array_of_mut<T>(entries: &mut [T]) -> GuestArray {
    let count = (entries.len() as u64).min(hvcall::MAX_ENTRIES);
    GuestArray { address: Gva(entries.as_mut_ptr() as u64), count }
}

fn count(result: i64) -> Result<usize, Status> {
    Status::from_result(result).map(|value| value as usize)
}
