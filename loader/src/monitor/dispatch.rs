//! One call: registers to types, types to effect, effect to result.

use hvcall::call::ClockId;
use hvcall::{
    Call, CallEntry, Completion, Events, Frame, GuestArray, GuestExit, GuestSlice, Nr, RawCall, Request,
    Status, Wire as _, planted,
};

use super::clock::Clock;
use super::console::Console;
use super::disk::Disk;
use super::memory::GuestMemory;
use super::nic::Nic;
use super::signals::Signals;
use super::wait::{PollSet, Polling};
use crate::address::index;

/// What follows a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The guest goes on with this in RAX.
    Return(i64),
    /// The guest ended itself.
    Exit(GuestExit),
    /// The guest asked to end in a way that the contract does not have.
    BadExit(u64),
}

/// Everything that calls act on.
#[derive(Debug)]
pub struct Dispatcher {
    /// The guest's memory.
    pub memory: GuestMemory,
    /// The console.
    pub console: Console,
    /// NICs, in manifest order.
    pub nics: Vec<Nic>,
    /// Disks, in manifest order.
    pub disks: Vec<Disk>,
    /// Time.
    pub clock: Clock,
    /// Shut-down requests.
    pub signals: Signals,
    /// Whether waits ask before they sleep.
    pub polling: Polling,
    /// Whether the guest has been told of a shut-down request.
    pub shutdown_told: bool,
}

impl Dispatcher {
    /// Carries out a call.
    pub fn call(&mut self, raw: &RawCall) -> Flow {
        match Call::decode(raw) {
            Ok(Call::Exit(exit)) => Flow::Exit(exit),
            Ok(Call::Multicall(calls)) => Flow::Return(to_result(self.multicall(calls))),
            Ok(call) => Flow::Return(to_result(self.simple(&call))),
            Err(_) if Nr::from_raw(raw.nr) == Ok(Nr::Exit) => Flow::BadExit(raw.arguments[0]),
            Err(status) => Flow::Return(status.to_result()),
        }
    }

    /// Every call but the two that act on calls themselves.
    fn simple(&mut self, call: &Call) -> Result<u64, Status> {
        match *call {
            Call::Multicall(calls) if planted!(BatchNests => true, false) => self.multicall(calls),
            Call::Exit(_) | Call::Multicall(_) => Err(Status::INVAL),
            Call::ConsoleWrite(text) => {
                let text = self.memory.source(text.address, text.size_bytes)?;
                self.console.write(&text)
            }
            Call::Wait { deadline_ns, interest } => {
                self.wait(deadline_ns, interest).map(|ready| ready.bits())
            }
            Call::NetSend { device, frames } => {
                let nic = self.nics.get(device).ok_or(Status::NODEV)?;
                let descriptors = self.memory.source(frames.address, size_of_array::<Frame>(frames))?;
                nic.send(&self.memory, &descriptors, index(frames.count))
            }
            Call::NetRecv { device, frames } => {
                let nic = self.nics.get_mut(device).ok_or(Status::NODEV)?;
                let descriptors = self.memory.target(frames.address, size_of_array::<Frame>(frames))?;
                nic.receive(&self.memory, &descriptors, index(frames.count))
            }
            Call::BlockSubmit { device, requests } => {
                let disk = self
                    .disks
                    .get_mut(planted!(WrongDeviceTaken => device & 1, device))
                    .ok_or(Status::NODEV)?;
                let descriptors = self.memory.source(requests.address, size_of_array::<Request>(requests))?;
                disk.submit(&self.memory, &descriptors, index(requests.count))
            }
            Call::BlockReap { device, completions } => {
                let disk = self.disks.get_mut(device).ok_or(Status::NODEV)?;
                let room =
                    self.memory.target(completions.address, size_of_array::<Completion>(completions))?;
                Ok(disk.reap(&room, index(completions.count)))
            }
            Call::Clock(ClockId::Monotonic) => Ok(self.clock.monotonic_ns()),
            Call::Clock(ClockId::Wall) => Ok(self.clock.wall_ns()),
            Call::Entropy(bytes) => self.entropy(bytes),
        }
    }

    fn entropy(&self, bytes: GuestSlice) -> Result<u64, Status> {
        let target = self.memory.target(bytes.address, bytes.size_bytes)?;
        let mut random = [0_u8; index(hvcall::MAX_ENTROPY_BYTES)];
        let wanted = &mut random[..index(bytes.size_bytes)];
        // Up to 256 bytes come whole or not at all (getrandom(2), "NOTES").
        let given = rustix::rand::getrandom(&mut *wanted, rustix::rand::GetRandomFlags::empty());
        if given != Ok(wanted.len()) {
            return Err(Status::IO);
        }
        target.copy_from(planted!(StaleBytes => &wanted[..wanted.len() / 2], wanted));
        Ok(bytes.size_bytes)
    }

    fn multicall(&mut self, calls: GuestArray) -> Result<u64, Status> {
        let array = self.memory.target(calls.address, size_of_array::<CallEntry>(calls))?;
        let mut copy = [0; index(hvcall::MAX_ENTRIES) * CallEntry::SIZE_BYTES];
        array.as_source().copy_to(&mut copy);
        let entries = copy.chunks_exact(CallEntry::SIZE_BYTES).take(index(calls.count)).map(CallEntry::read);
        for (position, entry) in entries.enumerate() {
            let again = planted!(DoubleFetch => Some(position * CallEntry::SIZE_BYTES), None);
            let entry = again
                .map_or(entry, |at| array.from_offset(at).as_source().read::<_, { CallEntry::SIZE_BYTES }>());
            let result = to_result(Call::decode(&entry.raw()).and_then(|call| self.simple(&call)));
            let at = position * CallEntry::SIZE_BYTES + std::mem::offset_of!(CallEntry, result);
            array.from_offset(at).copy_from(&result.to_le_bytes());
        }
        Ok(calls.count)
    }

    fn wait(&mut self, deadline_ns: u64, interest: Events) -> Result<Events, Status> {
        if planted!(EventsNotChecked => false, !Events::for_devices(self.nics.len(), self.disks.len()).contains(interest))
        {
            return Err(Status::INVAL);
        }
        let interest = if self.shutdown_told { interest } else { interest | Events::SHUTDOWN };
        let started_ns = self.clock.monotonic_ns();
        let asking_until_ns = self.polling.end(started_ns);
        loop {
            let at_once = self.ready_at_once() & interest;
            let now_ns = self.clock.monotonic_ns();
            let timeout_ns = match deadline_ns {
                _ if !at_once.is_empty() || now_ns < asking_until_ns => Some(0),
                u64::MAX => None,
                deadline_ns => Some(deadline_ns.saturating_sub(now_ns)),
            };
            let ready = (at_once | self.poll(timeout_ns, interest)?) & interest;
            if self.signals.guest_is_dead() {
                return Ok(Events::empty());
            }
            // The kernel's clock and the guest's may differ by a little: only the guest's decides that the deadline passed.
            let now_ns = self.clock.monotonic_ns();
            if !ready.is_empty() {
                self.polling.learn(now_ns.saturating_sub(started_ns));
            }
            if !ready.is_empty() || now_ns >= deadline_ns {
                let shutdown = self.signals.shutdown();
                self.shutdown_told |= shutdown;
                return Ok(if shutdown { ready | Events::SHUTDOWN } else { ready });
            }
        }
    }

    /// What is ready without asking the kernel.
    fn ready_at_once(&self) -> Events {
        let disks = self.disks.iter().enumerate().filter(|(_, disk)| disk.is_ready());
        let mut ready = disks.fold(Events::empty(), |ready, (index, _)| ready | Events::disk(index));
        ready.set(Events::SHUTDOWN, self.signals.shutdown());
        ready
    }

    fn poll(&mut self, timeout_ns: Option<u64>, interest: Events) -> Result<Events, Status> {
        let mut set = PollSet::new();
        set.add(self.signals.fd(), Events::SHUTDOWN, Events::empty());
        for (index, nic) in self.nics.iter().enumerate() {
            let receive = interest & Events::nic_receive(index);
            let transmit = interest & Events::nic_transmit(index);
            if !(receive | transmit).is_empty() {
                set.add(nic.fd(), receive, transmit);
            }
        }
        let ready = set.wait(timeout_ns)?;
        if ready.contains(Events::SHUTDOWN) {
            self.signals.drain();
        }
        Ok(ready)
    }
}

fn size_of_array<T: hvcall::Wire>(array: GuestArray) -> u64 {
    array.count * T::SIZE_BYTES as u64
}

/// A value or a status, as RAX carries it. Values are counts, masks and times, all far below the statuses' range.
fn to_result(result: Result<u64, Status>) -> i64 {
    result.map_or_else(Status::to_result, u64::cast_signed)
}
