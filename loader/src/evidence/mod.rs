//! What can be shown afterwards about a run: what was in memory that must not change, and a core of a guest that broke.
//!
//! ```text
//! digest   of text, constants, page tables, descriptors        record   as they cross the pipe to the parent
//! core     an ELF core: headers before the run, memory after it output   the files that all of this goes to
//! ```
//! All of it happens in the monitor process before the first entry and after the last exit: nothing here runs while a guest can
//! run. What happens after the exit happens behind the filter, so nothing is opened or allocated then.

pub mod core;
pub mod digest;
pub mod output;
pub mod record;

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use hvcall::{GuestExit, Wire};
use rustix::io::IoSlice;

use crate::layout::{Gate, Plan, units};
use crate::memory::WritableMemory;
use crate::monitor::end::{End, EndRecord};
use crate::monitor::memory::GuestMemory;
use crate::monitor::run::Monitor;
use crate::monitor::vcpu::{Registers, Vcpu};
use core::Core;
use record::{Closing, Opening};

/// What a person wants to be shown.
#[derive(Debug)]
pub struct Wanted {
    /// The appliance's name.
    pub name: String,
    /// Digests, for a receipt.
    pub digests: bool,
    /// A core, should the guest break: into this empty file.
    pub core: Option<File>,
}

/// What is to be shown about one machine.
#[derive(Debug)]
pub struct Evidence<'a> {
    plan: &'a Plan,
    gate: Gate,
    /// Page tables and descriptors, where the machine has them.
    tables: Option<&'a WritableMemory>,
    digests: bool,
    core: Option<Core>,
}

impl<'a> Evidence<'a> {
    /// Prepares what is wanted of a machine.
    #[must_use]
    pub fn new(wanted: Wanted, plan: &'a Plan, gate: Gate, tables: Option<&'a WritableMemory>) -> Self {
        let core = wanted.core.map(|file| Core::new(plan, &wanted.name, file));
        Self { plan, gate, tables, digests: wanted.digests, core }
    }

    /// The descriptor that a core is written to.
    #[must_use]
    pub fn core_fd(&self) -> Option<RawFd> {
        self.core.as_ref().map(|core| core.file().as_raw_fd())
    }

    /// What is known before the first entry.
    #[must_use]
    pub fn opening(&self, memory: &GuestMemory) -> Opening {
        let units = units::units(self.plan);
        let mut opening = Opening {
            units,
            entropy_millibits: std::array::from_fn(|index| units::entropy_millibits(&units, index)),
            ..Opening::default()
        };
        for (to, from) in opening.gate.iter_mut().zip(self.gate.name.bytes()) {
            *to = from;
        }
        if self.digests {
            opening.digests = digest::of(self.plan, memory.sealed(), self.tables);
            opening.has_digests = 1;
        }
        opening
    }

    /// What is known after the last exit, with the core written.
    #[must_use]
    pub fn closing(&mut self, monitor: &mut Monitor<impl Vcpu>, record: &EndRecord) -> Closing {
        let memory = &monitor.dispatcher.memory;
        let mut closing = Closing::default();
        let end = record.end();
        if let (Some(core), Some(end)) = (&mut self.core, end)
            && !matches!(end, End::Exit(GuestExit::Status(_)))
        {
            // The record of a panic has none: for people, the message is enough.
            let registers = if matches!(end, End::Exit(_)) {
                monitor.vcpu.registers(memory).unwrap_or_default()
            } else {
                Registers { general: record.general, rip: record.rip, rflags: record.rflags }
            };
            closing.core_bytes = core.write(memory, &registers, core::signal_of(end));
            closing.core_is_whole = u32::from(closing.core_bytes == core.size_bytes());
        }
        if self.digests {
            closing.digests = digest::of(self.plan, memory.sealed(), self.tables);
            closing.has_digests = 1;
        }
        closing
    }
}

/// Writes a record to the pipe. The parent holds the other end for as long as it lives; without a parent nobody needs it.
pub fn send(report: &OwnedFd, record: &impl Wire) {
    let mut bytes = [0; MAX_RECORD_BYTES];
    let size_bytes = size_of_val(record);
    record.write(&mut bytes);
    let _ = rustix::io::writev(report.as_fd(), &[IoSlice::new(&bytes[..size_bytes])]);
}

/// No record is longer.
const MAX_RECORD_BYTES: usize = 1024;
static_assertions::const_assert!(size_of::<EndRecord>() <= MAX_RECORD_BYTES);
static_assertions::const_assert!(size_of::<Opening>() <= MAX_RECORD_BYTES);
static_assertions::const_assert!(size_of::<Closing>() <= MAX_RECORD_BYTES);
