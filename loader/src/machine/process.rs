//! A machine whose guest is a process.

use super::{MachineConfig, MachineError, dispatcher, host, plan, tsc};
use crate::address::index;
use crate::backend::process::{Launch, ProcessVcpu, Reservation, fault_stack_bytes};
use crate::image::Image;
use crate::layout::{Gate, Plan, Slot};
use crate::memory::WritableMemory;
use crate::monitor::clock::Clock;
use crate::monitor::dispatch::Dispatcher;
use crate::monitor::run::Monitor;

/// A machine without its process. The process inherits what its maker may do, so the maker gives that up in between.
#[derive(Debug)]
pub struct PreparedMachine {
    plan: Plan,
    launch: Launch,
    dispatcher: Dispatcher,
}

/// A machine whose guest is a process, stopped before its first instruction.
#[derive(Debug)]
pub struct ProcessMachine {
    /// Where everything lies.
    pub plan: Plan,
    /// The trusted part.
    pub monitor: Monitor<ProcessVcpu>,
}

impl PreparedMachine {
    /// Plans a machine and fills its memory. `config.signals` gets SIGCHLD, too.
    ///
    /// # Errors
    /// [`MachineError`] naming the step that failed.
    pub fn new(image: &Image, config: MachineConfig) -> Result<Self, MachineError> {
        let gate = Gate::SYSCALL;
        let (plan, reservation) = loop {
            let plan = plan(image, config.memory_bytes, fault_stack_bytes())?;
            if let Some(reservation) = Reservation::new(&plan)? {
                break (plan, reservation);
            }
        };
        let writable =
            WritableMemory::shared(index(plan.slot_bytes(Slot::Writable))).map_err(host("guest memory"))?;
        let clock = Clock::start(tsc::khz());
        let mut dispatcher = dispatcher(image, &plan, &gate, config, clock, writable)?;
        let launch = Launch::new(&plan, gate, reservation, &mut dispatcher.memory)?;
        Ok(Self { plan, launch, dispatcher })
    }

    /// Where everything lies.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// See [`Launch::share_nothing`].
    pub fn share_nothing(&self) {
        self.launch.share_nothing();
    }

    /// Makes the process.
    ///
    /// # Errors
    /// [`MachineError`] if the host refuses.
    pub fn start(self) -> Result<ProcessMachine, MachineError> {
        let Self { plan, launch, mut dispatcher } = self;
        let mut vcpu = launch.start(dispatcher.memory.writable_mut())?;
        vcpu.watch_signals(dispatcher.signals.raw_fd());
        let monitor = Monitor::new(&plan, vcpu, dispatcher);
        Ok(ProcessMachine { plan, monitor })
    }
}
