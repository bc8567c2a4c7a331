//! One instruction with many parameters.
//!
//! Under KVM in one machine: `attack each NAME` asks for a parameter with a call number that the contract does not have. The registers
//! are kept then, and put back when the instruction has faulted, so that the call returns once more. Calls that the contract has go
//! to the real dispatcher. A process cannot be brought back, so there each parameter gets a run of the program.

use ::tests::{App, TestMachine};
use hvcall::RawCall;
use loader::backend::kvm::KvmVcpu;
use loader::layout::{RegionKind, stubs};
use loader::monitor::dispatch::Flow;
use loader::monitor::vcpu::{Trap, Vcpu as _};

use crate::case::Got;
use crate::host::Host;
use crate::{guest, ticks, window, words};

/// The call numbers of `apps/attack/src/each.rs`.
const NEXT: u32 = 0x5eed_0001;
const RESULT: u32 = 0x5eed_0002;

/// Executes an instruction with each parameter and tells the outcomes in one line. Of values, only that there was one counts.
pub(crate) fn each(host: Host, name: &str, parameters: impl IntoIterator<Item = u64>) -> Got {
    outcomes(host, name, parameters).map(|outcomes| words::tally(&outcomes))
}

/// As [`each`], with the outcomes one by one.
pub(crate) fn outcomes(
    host: Host,
    name: &str,
    parameters: impl IntoIterator<Item = u64>,
) -> Result<Vec<(u64, String)>, String> {
    if host == Host::Process {
        let parameters = parameters.into_iter();
        let outcome = |parameter: u64| {
            let run = guest::run(host, &["--time-limit", "1"], &[name, &parameter.to_string()]);
            guest::check(&run)?;
            Ok((parameter, words::kind(&words::program(&run)).to_owned()))
        };
        return parameters.map(outcome).collect();
    }
    let mut sweep = Sweep::new(TestMachine::new(App::Attack, &["each", name]));
    sweep.with_each(parameters)?;
    sweep.finish()
}

/// Every so many-th number of a range, as the host can bear, and these.
pub(crate) fn sample(host: Host, range: std::ops::RangeInclusive<u64>, always: &[u64]) -> Vec<u64> {
    with_stride(host.stride(), range, always)
}

/// As [`sample`], but few on every host: for what has been tried with other widths already.
pub(crate) fn few(host: Host, range: std::ops::RangeInclusive<u64>, always: &[u64]) -> Vec<u64> {
    with_stride(host.stride().max(31), range, always)
}

fn with_stride(stride: usize, range: std::ops::RangeInclusive<u64>, always: &[u64]) -> Vec<u64> {
    let mut sample: Vec<u64> = range.step_by(stride).chain(always.iter().copied()).collect();
    sample.sort_unstable();
    sample.dedup();
    sample
}

/// A machine whose guest is brought back after each fault.
#[derive(Debug)]
pub(crate) struct Sweep {
    machine: TestMachine,
    before: [Vec<u8>; 2],
    outcomes: Vec<(u64, String)>,
}

/// What stopped the guest.
enum Stop {
    Next,
    Result,
    Call(RawCall),
    Outcome(String),
}

impl Sweep {
    /// A machine with `attack each NAME` in it.
    pub(crate) fn new(machine: TestMachine) -> Self {
        let before = guest::sealed(&machine);
        Self { machine, before, outcomes: Vec::new() }
    }

    /// Gives the guest each parameter.
    pub(crate) fn with_each(&mut self, parameters: impl IntoIterator<Item = u64>) -> Result<(), String> {
        self.run_to_first_question()?;
        let (registers, special) = self.state()?;
        let mut parameters = parameters.into_iter();
        let mut current = None;
        let _ticks = ticks::every(50);
        loop {
            let outcome = match if current.is_none() { Stop::Next } else { self.enter()? } {
                Stop::Next => String::new(),
                Stop::Result => "done".to_owned(),
                Stop::Call(call) => {
                    self.answer(&call)?;
                    continue;
                }
                Stop::Outcome(outcome) => outcome,
            };
            if let Some(parameter) = current
                && !outcome.is_empty()
            {
                self.outcomes.push((parameter, outcome));
            }
            current = parameters.next();
            let Some(parameter) = current else { return Ok(()) };
            let (fd, mut again) = (self.vcpu().fd(), registers);
            again.rax = parameter;
            if fd.get_sregs().map_err(text)? != special {
                fd.set_sregs(&special).map_err(text)?;
            }
            fd.set_regs(&again).map_err(text)?;
        }
    }

    /// Starts the guest with this RIP, again and again, and the registers of its first call otherwise. How often it may call the
    /// monitor, which does not answer, is bounded.
    pub(crate) fn start_at_each(&mut self, starts: impl IntoIterator<Item = u64>) -> Result<(), String> {
        const CALLS: usize = 16;
        let Stop::Call(_) = self.enter()? else { return Err("the guest did not call".to_owned()) };
        let (registers, special) = self.state()?;
        let _ticks = ticks::every(2);
        for start in starts {
            let mut again = registers;
            again.rip = start;
            again.rsp -= 1024;
            again.rax = start;
            let fd = self.vcpu().fd();
            fd.set_sregs(&special).map_err(text)?;
            fd.set_regs(&again).map_err(text)?;
            let mut calls = 0;
            let outcome = loop {
                match self.enter()? {
                    Stop::Outcome(outcome) => break outcome,
                    Stop::Call(_) | Stop::Next | Stop::Result if calls == CALLS => break "call".to_owned(),
                    // Never answered by the dispatcher: it would sleep, and exit.
                    Stop::Call(_) | Stop::Next | Stop::Result => self.vcpu().set_result(-1),
                }
                calls += 1;
            };
            self.outcomes.push((start, outcome));
        }
        Ok(())
    }

    /// The machine.
    pub(crate) const fn machine(&self) -> &TestMachine {
        &self.machine
    }

    /// The outcomes, if sealed memory is as it was.
    pub(crate) fn finish(self) -> Result<Vec<(u64, String)>, String> {
        if self.before != guest::sealed(&self.machine) {
            return Err("O3: sealed memory or tables have changed".to_owned());
        }
        window::check(&self.machine)?;
        Ok(self.outcomes)
    }

    fn vcpu(&mut self) -> &mut KvmVcpu {
        &mut self.machine.machine.monitor.vcpu
    }

    /// Runs the guest until it asks for its first parameter.
    fn run_to_first_question(&mut self) -> Result<(), String> {
        loop {
            match self.enter()? {
                Stop::Next => return Ok(()),
                Stop::Call(call) => self.answer(&call)?,
                Stop::Result | Stop::Outcome(_) => return Err("the guest did not ask".to_owned()),
            }
        }
    }

    /// Registers behind the gate's instruction, and the special ones.
    fn state(&mut self) -> Result<(kvm_bindings::kvm_regs, kvm_bindings::kvm_sregs), String> {
        let behind = self.machine.machine.plan.gate.0 + self.machine.machine.gate.trap.len() as u64;
        let fd = self.vcpu().fd();
        let registers = kvm_bindings::kvm_regs { rip: behind, ..fd.get_regs().map_err(text)? };
        Ok((registers, fd.get_sregs().map_err(text)?))
    }

    /// Lets the real dispatcher carry out a call.
    fn answer(&mut self, call: &RawCall) -> Result<(), String> {
        match self.machine.machine.monitor.dispatcher.call(call) {
            Flow::Return(result) => {
                self.vcpu().set_result(result);
                Ok(())
            }
            other @ (Flow::Exit(_) | Flow::BadExit(_)) => {
                Err(format!("the guest ended: {other:?}, {}", self.machine.output()))
            }
        }
    }

    /// Runs the guest until something happens. Two ticks of the timer in a row are a loop.
    fn enter(&mut self) -> Result<Stop, String> {
        let (gate, stub_page) = {
            let plan = &self.machine.machine.plan;
            (plan.gate, plan.region(RegionKind::Stubs).gva)
        };
        let mut ticks = 0;
        loop {
            let trap = self.vcpu().enter().map_err(|error| format!("O1: {error}"))?;
            return Ok(match trap {
                #[expect(clippy::cast_possible_truncation, reason = "the upper half is ignored by contract")]
                Trap::Gate { site, call } if site == gate => match call.nr as u32 {
                    NEXT => Stop::Next,
                    RESULT => Stop::Result,
                    _ => Stop::Call(call),
                },
                Trap::Gate { site, .. } => Stop::Outcome(match stubs::vector_at(stub_page, site) {
                    Some(vector) => words::exception(vector),
                    None => "foreign trap".to_owned(),
                }),
                Trap::Foreign { .. } => {
                    self.complete()?;
                    Stop::Outcome("foreign exit".to_owned())
                }
                Trap::Interrupted if ticks < 2 => {
                    ticks += 1;
                    continue;
                }
                Trap::Interrupted => Stop::Outcome("loop".to_owned()),
                Trap::Shutdown => Stop::Outcome("triple fault".to_owned()),
                Trap::Exception | Trap::Killed => return Err("O1: a trap of processes".to_owned()),
            });
        }
    }

    /// Lets the kernel finish what an exit has begun: the value of an input goes to RAX at the next entry, whatever RIP is then. So
    /// there is one more, to a breakpoint in the gate's padding.
    fn complete(&mut self) -> Result<(), String> {
        let padding = self.machine.machine.plan.gate.0 + 0x20;
        let fd = self.vcpu().fd();
        let registers = kvm_bindings::kvm_regs { rip: padding, ..fd.get_regs().map_err(text)? };
        fd.set_regs(&registers).map_err(text)?;
        match self.vcpu().enter() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("O1: {error}")),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
