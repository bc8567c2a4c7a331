//! The loop: enter the guest, take the trap, dispatch, answer.

use hvcall::Gva;

use super::dispatch::{Dispatcher, Flow};
use super::end::{End, EndRecord};
use super::fault::{self, Places};
use super::vcpu::{Trap, Vcpu, VcpuError};
use crate::layout::{Plan, RegionKind, stubs};

/// A machine that is ready to run: a vCPU and what its calls act on.
#[derive(Debug)]
pub struct Monitor<V> {
    /// The vCPU.
    pub vcpu: V,
    /// Memory and devices.
    pub dispatcher: Dispatcher,
    gate: Gva,
    stubs: Gva,
    places: Places,
}

impl<V: Vcpu> Monitor<V> {
    /// Puts the parts of a planned machine together.
    #[must_use]
    pub fn new(plan: &Plan, vcpu: V, dispatcher: Dispatcher) -> Self {
        Self {
            vcpu,
            dispatcher,
            gate: plan.gate,
            stubs: plan.region(RegionKind::Stubs).gva,
            places: Places::new(plan),
        }
    }

    /// Runs the guest to its end.
    pub fn run(&mut self) -> EndRecord {
        loop {
            match self.vcpu.enter() {
                Ok(Trap::Gate { site, call }) if site == self.gate => match self.dispatcher.call(&call) {
                    Flow::Return(result) => self.vcpu.set_result(result),
                    Flow::Exit(exit) => return EndRecord::new(End::Exit(exit)),
                    Flow::BadExit(argument) => return self.report(End::BadExit { argument }),
                },
                Ok(Trap::Gate { site, .. }) => return self.trap_elsewhere(site),
                Ok(Trap::Exception) => return self.exception(0),
                Ok(Trap::Interrupted) => {
                    self.dispatcher.signals.drain();
                    if self.dispatcher.signals.guest_is_dead() {
                        return self.killed();
                    }
                }
                Ok(Trap::Foreign { reason, detail }) => {
                    return self.report(End::ForeignExit { reason, detail });
                }
                Ok(Trap::Shutdown) => return self.report(End::TripleFault),
                Ok(Trap::Killed) => return self.killed(),
                Err(VcpuError::Run { errno }) => return self.report(End::RunFailed { errno }),
                Err(VcpuError::Entry { reason }) => return self.report(End::EntryFailed { reason }),
            }
        }
    }

    /// A trap from a stub is an exception's report; from anywhere else it breaks the contract.
    fn trap_elsewhere(&mut self, site: Gva) -> EndRecord {
        match stubs::vector_at(self.stubs, site) {
            Some(vector) => self.exception(vector),
            None => self.report(End::ForeignTrap),
        }
    }

    fn killed(&mut self) -> EndRecord {
        EndRecord::new(End::Killed { signal: self.dispatcher.signals.wait_for_guest() })
    }

    fn exception(&self, vector: u8) -> EndRecord {
        let exception = self.vcpu.exception(&self.dispatcher.memory, vector);
        let end = exception.vector.map_or(End::ForeignTrap, |vector| End::Fault { vector });
        let mut record = EndRecord::new(end);
        fault::add_exception(&mut record, &self.places, &self.dispatcher.memory, &exception);
        record
    }

    fn report(&mut self, end: End) -> EndRecord {
        let mut record = EndRecord::new(end);
        let memory = &self.dispatcher.memory;
        if let Some(registers) = self.vcpu.registers(memory) {
            fault::add_registers(&mut record, &self.places, memory, &registers);
        }
        record
    }
}
