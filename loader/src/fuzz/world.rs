//! The real dispatcher with real devices on made-up memory, and the model beside it.
//!
//! Disks and console are memfds, NICs are socket pairs. After a program everything is as before it, and only what the program
//! touched is compared and put back, which is what makes it fast; every so often all of it is compared.

mod compare;
mod devices;
mod reset;

use std::io;

use bytecode::{Extent, Interpreter, Memory, Step, Table, World as Outside};
use hvcall::{CallEntry, Gva, RawCall, Wire as _};

use super::model::{MemoryModel, Model, Real, Violation};
use super::plan;
use crate::address::index;
use crate::layout::{Plan, Slot};
use crate::memory::{SealedMemory, WritableMemory};
use crate::monitor::clock::Clock;
use crate::monitor::console::Console;
use crate::monitor::dispatch::{Dispatcher, Flow};
use crate::monitor::memory::GuestMemory;
use crate::monitor::signals::Signals;
use crate::monitor::wait::Polling;
pub(super) use devices::{Devices, Ends};

/// What became of a program.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Calls that were made, those in batches included.
    pub calls: u64,
    /// Whether it was not checked to its end, since its results cannot be told.
    pub unsure: bool,
    /// What is wrong, and after how many steps it was seen.
    pub violation: Option<(Violation, usize)>,
}

/// How much is compared after a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What the program may have changed.
    Changed,
    /// Everything.
    Everything,
    /// Everything, after each step: slow, and names the step.
    EachStep,
}

/// A step as it was carried out, for listings and comparisons.
#[derive(Clone, Copy, Debug)]
pub enum Done<'a> {
    /// A call, before it is made.
    Before(&'a RawCall),
    /// A call of the batch that is about to be made.
    Entry(&'a RawCall),
    /// A call and what came of it.
    Call(&'a RawCall, Flow),
    /// Something outside the guest.
    Outside(Outside),
}

/// The harness.
#[derive(Debug)]
pub struct World {
    /// The monitor's part.
    pub dispatcher: Dispatcher,
    /// What has to come out.
    pub model: Model,
    /// Regions as programs name them.
    pub extents: Vec<Extent>,
    ends: Ends,
    exits: bool,
    /// Where programs can have written, first address and length.
    pub(super) reach: Vec<(u64, u64)>,
}

/// Real memory and clocks, as the model asks for them.
#[derive(Debug)]
pub(super) struct View<'a>(pub(super) &'a GuestMemory, pub(super) &'a Clock);

impl Real for View<'_> {
    fn read(&self, address: u64, bytes: &mut [u8]) {
        if let Ok(source) = self.0.source(Gva(address), bytes.len() as u64) {
            source.copy_to(bytes);
        }
    }

    fn monotonic_ns(&self) -> u64 {
        self.1.monotonic_ns()
    }

    fn wall_ns(&self) -> u64 {
        self.1.wall_ns()
    }
}

/// What a program writes by itself goes to both memories.
pub(super) struct Both<'a>(pub(super) &'a GuestMemory, pub(super) &'a mut MemoryModel);

impl Memory for Both<'_> {
    fn write(&mut self, address: u64, bytes: &[u8]) {
        self.1.write(address, bytes);
        if let Ok(target) = self.0.target(Gva(address), bytes.len() as u64) {
            target.copy_from(bytes);
        }
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        let content = self.1.bytes(address, bytes.len() as u64);
        if content.len() == bytes.len() {
            bytes.copy_from_slice(content);
        }
    }
}

impl World {
    /// A fresh harness, with a made-up guest.
    ///
    /// # Errors
    /// What the host says.
    pub fn new() -> io::Result<Self> {
        let plan = plan::plan();
        // Different bytes everywhere, and none of them zero, between the regions as well: what is copied wrongly shows.
        let pattern = |len: u64, step: usize| -> Vec<u8> {
            (0..index(len)).map(|at| ((at * step + at / 251) % 255 + 1).to_le_bytes()[0]).collect()
        };
        let sealed = pattern(plan.slot_bytes(Slot::ReadOnly).next_multiple_of(4096), 7);
        let writable = pattern(plan.slot_bytes(Slot::Writable), 3);
        Self::with_plan(&plan, plan::extents(&plan), sealed, writable, true)
    }

    /// A harness for a guest with this plan and this memory. `exits` says whether a program's own `exit` is carried out.
    ///
    /// # Errors
    /// What the host says.
    pub fn with_plan(
        plan: &Plan,
        extents: Vec<Extent>,
        sealed_bytes: Vec<u8>,
        pristine: Vec<u8>,
        exits: bool,
    ) -> io::Result<Self> {
        let sealed = SealedMemory::new(sealed_bytes.len(), [(0, sealed_bytes.as_slice())])?;
        let mut writable = WritableMemory::private(pristine.len())?;
        writable.fill(0, &pristine);
        let memory = MemoryModel::new(plan::model_regions(plan), pristine, sealed_bytes);
        let (ends, devices) = Ends::new()?;
        let dispatcher = Dispatcher {
            memory: GuestMemory::new(plan, sealed, writable),
            console: Console::new(devices.console, false),
            nics: devices.nics,
            disks: devices.disks,
            clock: Clock::start(None),
            signals: Signals::new(devices.signals),
            shutdown_told: false,
            polling: Polling::default(),
        };
        let model = Model::new(memory, devices.nic_models, devices.disk_models);
        let writable = extents.iter().filter(|extent| extent.writable);
        let reach = writable.map(|extent| (extent.start, extent.size_bytes)).collect();
        Ok(Self { dispatcher, model, extents, ends, exits, reach })
    }

    /// Runs a program, compares, and makes everything as it was. After a violation the harness is of no more
    /// use.
    pub fn execute(&mut self, program: &[u8], depth: Depth) -> Outcome {
        self.execute_with(program, depth, &mut |_| {})
    }

    /// As [`Self::execute`], and tells each step.
    pub fn execute_with(&mut self, program: &[u8], depth: Depth, tell: &mut dyn FnMut(Done<'_>)) -> Outcome {
        let mut outcome = Outcome::default();
        let mut steps = 0;
        self.model.features.clear();
        let result = self.steps(program, depth, &mut outcome, &mut steps, tell);
        if outcome.unsure {
            self.repair();
            return outcome;
        }
        match result.and_then(|()| self.compare(depth)) {
            Ok(()) => self.reset(),
            Err(violation) => outcome.violation = Some((violation, steps)),
        }
        outcome
    }

    fn steps(
        &mut self,
        program: &[u8],
        depth: Depth,
        outcome: &mut Outcome,
        steps: &mut usize,
        tell: &mut dyn FnMut(Done<'_>),
    ) -> Result<(), Violation> {
        let extents = std::mem::take(&mut self.extents);
        let table = self.table(&extents);
        let mut interpreter = Interpreter::new(program, &table);
        let result = loop {
            let mut memory = Both(&self.dispatcher.memory, &mut self.model.memory);
            let Some(step) = interpreter.next(&table, &mut memory) else { break Ok(()) };
            *steps += 1;
            let result = match step {
                Step::Call(raw) => self.call(&raw, depth, outcome, tell),
                Step::World(outside) => {
                    tell(Done::Outside(outside));
                    self.happen(outside)
                }
            };
            let result = result.and_then(|()| {
                if depth == Depth::EachStep && !self.model.unsure { self.compare(depth) } else { Ok(()) }
            });
            if result.is_err() || self.model.unsure {
                break result;
            }
        };
        self.extents = extents;
        outcome.unsure = std::mem::take(&mut self.model.unsure);
        result
    }

    fn call(
        &mut self,
        raw: &RawCall,
        depth: Depth,
        outcome: &mut Outcome,
        tell: &mut dyn FnMut(Done<'_>),
    ) -> Result<(), Violation> {
        tell(Done::Before(raw));
        if depth == Depth::EachStep {
            self.tell_batch(raw, tell);
        }
        let flow = self.dispatcher.call(raw);
        outcome.calls += 1;
        if let (9, Flow::Return(done @ 1..=64)) = (raw.nr & 0xffff_ffff, flow) {
            outcome.calls += done.cast_unsigned();
        }
        tell(Done::Call(raw, flow));
        self.model.follow(raw, flow, &View(&self.dispatcher.memory, &self.dispatcher.clock))
    }

    fn tell_batch(&self, raw: &RawCall, tell: &mut dyn FnMut(Done<'_>)) {
        let [address, count, ..] = raw.arguments;
        if raw.nr & 0xffff_ffff != 9 {
            return;
        }
        let bytes = self.model.memory.bytes(address, count.min(64) * CallEntry::SIZE_BYTES as u64);
        for entry in bytes.chunks_exact(CallEntry::SIZE_BYTES) {
            tell(Done::Entry(&CallEntry::read(entry).raw()));
        }
    }

    /// Exchanges the dispatcher for one of a real machine, whose devices lead to `ends`.
    pub(super) fn exchange(&mut self, dispatcher: &mut Dispatcher, ends: &mut Ends) {
        std::mem::swap(&mut self.dispatcher, dispatcher);
        std::mem::swap(&mut self.ends, ends);
    }

    /// What programs need to know of this guest.
    #[must_use]
    pub fn table<'a>(&self, regions: &'a [Extent]) -> Table<'a> {
        let count = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        Table {
            regions,
            nics: count(self.dispatcher.nics.len()),
            disks: count(self.dispatcher.disks.len()),
            exits: self.exits,
        }
    }
}
