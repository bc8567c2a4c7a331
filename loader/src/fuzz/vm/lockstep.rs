//! Two dispatchers, call by call: the machine's, and one on made-up memory.

use bytecode::{Interpreter, Memory, Step, World as Outside};
use hvcall::{Gva, RawCall};

use super::{Tally, VmError};
use crate::fuzz::model::{MemoryModel, Violation, name};
use crate::fuzz::world::{Both, Depth, View, World};
use crate::monitor::dispatch::Flow;

/// Numbers that a process's gate page changes into [`CHANGED_NR`], because Linux keeps them for itself.
const KEPT_NRS: [u64; 2] = [335, 336];
const CHANGED_NR: u64 = 256;

/// How a chunk went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// To its end.
    Through,
    /// To a call whose effects cannot be told.
    Unsure,
}

/// Both.
#[derive(Debug)]
pub(super) struct Pair {
    /// With the machine's dispatcher. What programs write by themselves, the guest writes.
    pub(super) machine: World,
    /// With its own.
    pub(super) made_up: World,
}

/// What a program writes by itself: to both models, and to the made-up memory.
struct Writes<'a>(&'a mut MemoryModel, Both<'a>);

impl Memory for Writes<'_> {
    fn write(&mut self, address: u64, bytes: &[u8]) {
        self.0.write(address, bytes);
        self.1.write(address, bytes);
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        self.1.read(address, bytes);
    }
}

impl Pair {
    /// Follows a chunk. `next` gives the machine the result of its last call, if there was one, and takes its next call. Returns the
    /// last result, too, which the machine does not have yet.
    pub(super) fn follow(
        &mut self,
        programs: &[Vec<u8>],
        tally: &mut Tally,
        next: &mut dyn FnMut(Option<i64>) -> Result<RawCall, VmError>,
    ) -> Result<(Went, Option<i64>), VmError> {
        let extents = self.made_up.extents.clone();
        let table = self.made_up.table(&extents);
        let mut result = None;
        for program in programs {
            tally.programs += 1;
            let mut interpreter = Interpreter::new(program, &table);
            loop {
                let both = Both(&self.made_up.dispatcher.memory, &mut self.made_up.model.memory);
                let mut memory = Writes(&mut self.machine.model.memory, both);
                match interpreter.next(&table, &mut memory) {
                    None => break,
                    // A signal's descriptor is known to the backend, and must not be replaced.
                    Some(Step::World(Outside::Shutdown)) => {}
                    Some(Step::World(outside)) => {
                        self.machine.happen(outside).map_err(wrong)?;
                        self.made_up.happen(outside).map_err(wrong)?;
                    }
                    Some(Step::Call(raw)) => {
                        let real = next(result)?;
                        tally.traps += 1;
                        result = Some(self.call(&raw, &real, tally)?);
                        if self.machine.model.unsure || self.made_up.model.unsure {
                            return Ok((Went::Unsure, result));
                        }
                    }
                }
            }
        }
        Ok((Went::Through, result))
    }

    fn call(&mut self, raw: &RawCall, real: &RawCall, tally: &mut Tally) -> Result<i64, VmError> {
        let low =
            |nr: u64| if KEPT_NRS.contains(&(nr & 0xffff_ffff)) { CHANGED_NR } else { nr & 0xffff_ffff };
        if low(raw.nr) != low(real.nr) || raw.arguments != real.arguments {
            return Err(wrong(Violation {
                kind: "guest",
                detail: format!("it called {real:x?}, not {raw:x?}"),
            }));
        }
        let flows = [&mut self.machine, &mut self.made_up].map(|world| {
            let flow = world.dispatcher.call(real);
            let followed =
                world.model.follow(real, flow, &View(&world.dispatcher.memory, &world.dispatcher.clock));
            (flow, followed)
        });
        let [(flow, followed), (other_flow, other_followed)] = flows;
        followed.and(other_followed).map_err(wrong)?;
        self.machine.model.unsure |= self.machine.model.mixed | self.made_up.model.mixed;
        let (Flow::Return(result), Flow::Return(other)) = (flow, other_flow) else {
            return Err(wrong(Violation { kind: "end", detail: format!("{flow:?} and {other_flow:?}") }));
        };
        tally.calls += 1;
        if low(real.nr) == 9 {
            tally.calls += u64::try_from(result).unwrap_or(0);
        }
        // Two clocks are read at two times.
        if result != other && !self.machine.model.unsure && low(real.nr) != 7 {
            let detail =
                format!("the machine's call {} gave {}, the other {}", real.nr, name(result), name(other));
            return Err(wrong(Violation { kind: "difference", detail }));
        }
        self.take_over();
        Ok(result)
    }

    /// What nobody could foresee becomes the same in both.
    fn take_over(&mut self) {
        for &(address, size_bytes) in &self.machine.model.adopted {
            let bytes = self.machine.model.memory.bytes(address, size_bytes);
            self.made_up.model.memory.write(address, bytes);
            if let Ok(target) = self.made_up.dispatcher.memory.target(Gva(address), size_bytes) {
                target.copy_from(bytes);
            }
        }
    }

    /// Makes everything as it was before the chunk, whatever has happened.
    pub(super) fn repair(&mut self) {
        self.machine.repair();
        self.made_up.repair();
        (self.machine.model.unsure, self.made_up.model.unsure) = (false, false);
    }

    /// Compares both with their models, and makes everything as it was before the chunk.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        for world in [&mut self.machine, &mut self.made_up] {
            world.compare(Depth::Changed)?;
            world.reset();
        }
        Ok(())
    }
}

fn wrong(violation: Violation) -> VmError {
    VmError::Violation(violation, Vec::new())
}
