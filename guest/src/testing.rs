//! A monitor for the library's own tests: each test thread has one, with a clock that only `wait` moves.
#![expect(unsafe_code, reason = "reads and writes the memory that calls name, as the real monitor does")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::vec::Vec;

use hvcall::call::ClockId;
use hvcall::{Call, CallEntry, Completion, DiskInfo, Events, Operation, RawCall, Request, Status};

/// What the test thread's guest code trapped into.
#[derive(Default)]
pub(crate) struct Monitor {
    /// The clock.
    pub(crate) now_ns: u64,
    /// What went to the console, one entry a call.
    pub(crate) console: Vec<Vec<u8>>,
    /// Whether the shut-down event is pending.
    pub(crate) shutdown: bool,
    /// Deadline and interest of each wait.
    pub(crate) waits: Vec<(u64, Events)>,
    /// Traps taken; a multicall counts once.
    pub(crate) traps: usize,
    /// Value of each byte of entropy; counts up by one a call.
    pub(crate) entropy: u8,
    /// The disks.
    pub(crate) disks: Vec<Disk>,
}

/// A disk in memory.
pub(crate) struct Disk {
    pub(crate) info: DiskInfo,
    pub(crate) content: Vec<u8>,
    /// Most requests accepted before they are reaped.
    pub(crate) depth: usize,
    /// While set, accepted requests do not complete.
    pub(crate) stalled: bool,
    /// Status that every request completes with, if any.
    pub(crate) failure: Option<Status>,
    /// Requests seen, in order.
    pub(crate) seen: Vec<Request>,
    accepted: VecDeque<Request>,
}

std::thread_local! {
    static MONITOR: RefCell<Monitor> = RefCell::new(Monitor::default());
}

/// Looks at, or changes, this thread's monitor.
pub(crate) fn monitor<T>(look: impl FnOnce(&mut Monitor) -> T) -> T {
    MONITOR.with(|monitor| look(&mut monitor.borrow_mut()))
}

/// Carries out a call.
///
/// # Safety
/// As for the real gate: the memory that the call names must be valid for what it does.
pub(crate) unsafe fn trap(raw: &RawCall) -> i64 {
    monitor(|monitor| {
        monitor.traps += 1;
        // SAFETY: as the caller promises.
        unsafe { monitor.dispatch(raw) }
    })
}

impl Monitor {
    unsafe fn dispatch(&mut self, raw: &RawCall) -> i64 {
        let result = Call::decode(raw).and_then(|call| {
            // SAFETY: as the caller promises.
            unsafe { self.carry_out(call) }
        });
        result.map_or_else(Status::to_result, |value| i64::try_from(value).unwrap())
    }

    unsafe fn carry_out(&mut self, call: Call) -> Result<u64, Status> {
        match call {
            Call::Exit(how) => panic!("guest exits: {how:?}"),
            Call::ConsoleWrite(text) => {
                // SAFETY: the guest code under test names memory that it may read.
                let bytes = unsafe { array::<u8>(text.address.0, text.size_bytes) };
                self.console.push(bytes.to_vec());
                Ok(text.size_bytes)
            }
            Call::Wait { deadline_ns, interest } => Ok(self.wait(deadline_ns, interest).bits()),
            Call::Clock(ClockId::Monotonic | ClockId::Wall) => Ok(self.now_ns),
            Call::Entropy(bytes) => {
                // SAFETY: the guest code under test names memory that it may write.
                unsafe { array::<u8>(bytes.address.0, bytes.size_bytes) }.fill(self.entropy);
                self.entropy += 1;
                Ok(bytes.size_bytes)
            }
            Call::NetSend { .. } | Call::NetRecv { .. } => Err(Status::NODEV),
            Call::BlockSubmit { device, requests } => {
                // SAFETY: the guest code under test names an array that it may read.
                let requests = unsafe { array::<Request>(requests.address.0, requests.count) };
                self.disks.get_mut(device).ok_or(Status::NODEV)?.submit(requests)
            }
            Call::BlockReap { device, completions } => {
                // SAFETY: the guest code under test names an array that it may write.
                let room = unsafe { array::<Completion>(completions.address.0, completions.count) };
                Ok(self.disks.get_mut(device).ok_or(Status::NODEV)?.reap(room))
            }
            Call::Multicall(calls) => {
                // SAFETY: the guest code under test names an array that it may write.
                let entries = unsafe { array::<CallEntry>(calls.address.0, calls.count) };
                for entry in entries {
                    // SAFETY: as the caller promises.
                    entry.result = unsafe { self.dispatch(&entry.raw()) };
                }
                Ok(calls.count)
            }
        }
    }

    fn wait(&mut self, deadline_ns: u64, interest: Events) -> Events {
        self.waits.push((deadline_ns, interest));
        let disks =
            self.disks.iter().enumerate().filter(|(_, disk)| !disk.stalled && !disk.accepted.is_empty());
        let ready = disks.fold(Events::empty(), |all, (index, _)| all | Events::disk(index)) & interest;
        if self.shutdown {
            return ready | Events::SHUTDOWN;
        }
        if ready.is_empty() {
            assert_ne!(deadline_ns, u64::MAX, "the guest would sleep for ever");
            self.now_ns = self.now_ns.max(deadline_ns);
        }
        ready
    }
}

impl Disk {
    /// A disk of `sectors` zeros.
    pub(crate) fn new(sectors: usize, sector_bytes: usize) -> Self {
        let info = DiskInfo {
            sectors: sectors as u64,
            sector_bytes: u32::try_from(sector_bytes).unwrap(),
            flags: 0,
        };
        Self {
            info,
            content: vec![0; sectors * sector_bytes],
            depth: 64,
            stalled: false,
            failure: None,
            seen: Vec::new(),
            accepted: VecDeque::new(),
        }
    }

    fn submit(&mut self, requests: &[Request]) -> Result<u64, Status> {
        for request in requests {
            request.check(&self.info)?;
        }
        let room = self.depth - self.accepted.len();
        if room == 0 && !requests.is_empty() {
            return Err(Status::AGAIN);
        }
        let taken = &requests[..requests.len().min(room)];
        self.seen.extend(taken);
        self.accepted.extend(taken);
        Ok(taken.len() as u64)
    }

    fn reap(&mut self, room: &mut [Completion]) -> u64 {
        if self.stalled {
            return 0;
        }
        let count = room.len().min(self.accepted.len());
        // Backwards, for completions come in any order.
        for place in &mut room[..count] {
            let request = self.accepted.pop_back().unwrap();
            let result = self.failure.map_or(0, Status::to_result);
            if result == 0 {
                self.carry_out(&request);
            }
            *place = Completion { tag: request.tag, result };
        }
        count as u64
    }

    fn carry_out(&mut self, request: &Request) {
        let size = request.data_bytes(&self.info);
        let start = usize::try_from(request.sector * u64::from(self.info.sector_bytes)).unwrap();
        let span = start..start + usize::try_from(size).unwrap();
        let data = if request.address == 0 { 0 } else { size };
        // SAFETY: the driver under test keeps the data of accepted requests alive: that is what its tests are here to see.
        let data = unsafe { array::<u8>(request.address, data) };
        match request.check(&self.info).unwrap() {
            Operation::Flush => {}
            Operation::Discard => self.content[span].fill(0),
            Operation::Read => data.copy_from_slice(&self.content[span]),
            Operation::Write => self.content[span].copy_from_slice(data),
        }
    }
}

/// Memory that a call names.
///
/// # Safety
/// It must be valid for `count` values of `T`, and nothing else may use it meanwhile.
unsafe fn array<'a, T>(address: u64, count: u64) -> &'a mut [T] {
    let count = usize::try_from(count).unwrap();
    if count == 0 {
        return &mut [];
    }
    let pointer = core::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap());
    // SAFETY: as the caller promises.
    unsafe { core::slice::from_raw_parts_mut(pointer, count) }
}
