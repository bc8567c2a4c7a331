//! Calls without a guest: the dispatcher over made-up memory.
//!
//! Nothing here needs KVM or an image. The plan has one region of every kind at a fixed address, with the same gaps between
//! regions as a real one.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use hvcall::{Call, Gva, RawCall, Wire};
use loader::image::Permission;
use loader::layout::{Plan, Region, RegionKind, Slot};
use loader::memory::{SealedMemory, WritableMemory};
use loader::monitor::clock::Clock;
use loader::monitor::console::Console;
use loader::monitor::disk::Disk;
use loader::monitor::dispatch::{Dispatcher, Flow};
use loader::monitor::memory::GuestMemory;
use loader::monitor::nic::Nic;
use loader::monitor::signals::Signals;
use loader::monitor::wait::Polling;
use rustix::pipe::{PipeFlags, pipe_with};

const PAGE_BYTES: u64 = 4096;

/// A dispatcher, its guest's memory, and the other ends of console and signals.
#[derive(Debug)]
pub struct Window {
    /// The dispatcher.
    pub dispatcher: Dispatcher,
    /// Where everything lies.
    pub plan: Plan,
    console: File,
    signals: File,
}

impl Window {
    /// Heap of the made-up guest: larger than the largest block request.
    pub const HEAP_BYTES: u64 = 2 * 1024 * 1024;

    /// A guest with these devices.
    ///
    /// # Panics
    /// If the host gives no memory.
    #[must_use]
    pub fn new(nics: Vec<Nic>, disks: Vec<Disk>) -> Self {
        let plan = plan();
        let bytes_of = |slot| usize::try_from(plan.slot_bytes(slot)).expect("a few megabytes");
        // Every byte that is not the guest's own shows if it is ever copied.
        let content = vec![0x5e; bytes_of(Slot::ReadOnly)];
        let sealed = SealedMemory::new(content.len(), [(0, content.as_slice())]).expect("sealed memory");
        let writable = WritableMemory::private(bytes_of(Slot::Writable)).expect("memory");
        let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let (console, console_writer): (OwnedFd, OwnedFd) = pipe();
        let (signals, signals_writer) = pipe();
        let dispatcher = Dispatcher {
            memory: GuestMemory::new(&plan, sealed, writable),
            console: Console::new(console_writer, false),
            nics,
            disks,
            clock: Clock::start(None),
            signals: Signals::new(signals),
            polling: Polling::default(),
            shutdown_told: false,
        };
        Self { dispatcher, plan, console: console.into(), signals: signals_writer.into() }
    }

    /// First address of the heap.
    #[must_use]
    pub fn heap(&self) -> u64 {
        self.plan.region(RegionKind::Heap).gva.0
    }

    /// Makes a call and returns RAX.
    ///
    /// # Panics
    /// If the call ends the guest.
    pub fn call(&mut self, call: &Call) -> i64 {
        self.raw_call(call.encode())
    }

    /// Makes a call from registers and returns RAX.
    ///
    /// # Panics
    /// If the call ends the guest.
    pub fn raw_call(&mut self, raw: RawCall) -> i64 {
        match self.dispatcher.call(&raw) {
            Flow::Return(result) => result,
            end @ (Flow::Exit(_) | Flow::BadExit(_)) => panic!("{raw:?} ended the guest: {end:?}"),
        }
    }

    /// Puts bytes into writable guest memory.
    ///
    /// # Panics
    /// If the memory is not the guest's to write.
    pub fn poke(&self, address: u64, bytes: &[u8]) {
        let target = self.dispatcher.memory.target(Gva(address), bytes.len() as u64);
        target.expect("writable guest memory").copy_from(bytes);
    }

    /// Puts structures into writable guest memory, one after the other.
    ///
    /// # Panics
    /// As [`Window::poke`].
    pub fn poke_all<T: Wire>(&self, address: u64, items: &[T]) {
        for (index, item) in items.iter().enumerate() {
            let mut bytes = vec![0; T::SIZE_BYTES];
            item.write(&mut bytes);
            self.poke(address + (index * T::SIZE_BYTES) as u64, &bytes);
        }
    }

    /// Bytes of writable guest memory.
    ///
    /// # Panics
    /// If the address is not in a writable region.
    #[must_use]
    pub fn peek(&self, address: u64, size_bytes: usize) -> Vec<u8> {
        let holds = |region: &&Region| {
            region.slot == Slot::Writable && (region.gva.0..region.end().0).contains(&address)
        };
        let region = self.plan.regions.iter().find(holds).expect("a writable region");
        let offset = usize::try_from(region.offset + address - region.gva.0).expect("offsets fit");
        self.dispatcher.memory.writable().copy_out(offset, size_bytes)
    }

    /// A structure in writable guest memory.
    ///
    /// # Panics
    /// As [`Window::peek`].
    #[must_use]
    pub fn peek_as<T: Wire>(&self, address: u64) -> T {
        T::read(&self.peek(address, T::SIZE_BYTES))
    }

    /// What has come out of the console since the last time.
    pub fn console(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // The writer is still open, so this ends with "would block".
        let _ = self.console.read_to_end(&mut bytes);
        bytes
    }

    /// Asks the guest to end, as a signalfd would: with one record of 128 bytes (signalfd(2)).
    ///
    /// # Panics
    /// If the pipe is full.
    pub fn ask_to_end(&mut self) {
        self.signals.write_all(&[0; 128]).expect("there is room");
    }
}

fn plan() -> Plan {
    use Permission::{ReadExecute, ReadOnly, ReadWrite};
    let mut next_offset = [0; 3];
    let mut regions = Vec::new();
    for (index, (kind, size_bytes, slot, permission)) in [
        (RegionKind::Text, 2 * PAGE_BYTES, Slot::ReadOnly, ReadExecute),
        (RegionKind::ReadOnlyData, 2 * PAGE_BYTES, Slot::ReadOnly, ReadOnly),
        (RegionKind::Data, 2 * PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::BootInfo, 4 * PAGE_BYTES, Slot::ReadOnly, ReadOnly),
        (RegionKind::Stubs, PAGE_BYTES, Slot::ReadOnly, ReadExecute),
        (RegionKind::FaultStack, PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::DoubleFaultStack, PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::Descriptors, PAGE_BYTES, Slot::Tables, ReadOnly),
        (RegionKind::Stack, 16 * PAGE_BYTES, Slot::Writable, ReadWrite),
        (RegionKind::Heap, Window::HEAP_BYTES, Slot::Writable, ReadWrite),
    ]
    .into_iter()
    .enumerate()
    {
        let offset: &mut u64 = &mut next_offset[slot.number() as usize];
        let gva = Gva(0x10_0000_0000 * (index as u64 + 1));
        let user = kind != RegionKind::Descriptors;
        regions.push(Region { kind, gva, size_bytes, slot, offset: *offset, permission, user });
        *offset += size_bytes + PAGE_BYTES;
    }
    let image_base = regions[0].gva;
    Plan { regions, image_base, entry: image_base, gate: Gva(image_base.0 + PAGE_BYTES) }
}
