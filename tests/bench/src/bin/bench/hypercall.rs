//! One hypercall: guest, exit, dispatch, entry.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use bench::bare::BareMachine;
use bench::notify::Caller;
use bench::result::Comparison;
use bench::statistics::median;
use loader::backend::kvm::{self, GateChoice};
use loader::image::Image;
use loader::layout::Plan;
use loader::machine::{Machine, MachineConfig, PreparedMachine};
use loader::monitor::console::Console;
use loader::monitor::memory::GuestMemory;
use loader::monitor::run::Monitor;
use loader::monitor::vcpu::{Exception, Registers, Trap, Vcpu, VcpuError};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd as _;

use crate::{Backend, Failure, image};

/// Calls in a round.
const CALLS: u64 = 500;

/// The promise for the monitor's own part, in nanoseconds.
const LIMIT_NS: f64 = 500.0;

/// Runs a guest that does nothing but `clock` calls, and the bare loop, in turn.
pub(crate) fn measure(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let image = Image::open(&image("bench")?)?;
    match backend {
        Backend::Kvm => {
            let kvm = kvm::open()?;
            let mut bare = BareMachine::new(&kvm)?;
            compare(
                "one hypercall / bare exit loop",
                rounds,
                || bare.turn(),
                || {
                    let Machine { plan, monitor, slots: _, tables, .. } =
                        Machine::new(&kvm, &image, config(&image)?)?;
                    let times = run(&plan, monitor)?;
                    drop(tables);
                    Ok(times)
                },
            )
        }
        Backend::Process => {
            let mut bare = Caller::new()?;
            compare(
                "one hypercall / bare notification loop",
                rounds,
                || bare.turn(),
                || {
                    let machine = PreparedMachine::new(&image, config(&image)?)?.start()?;
                    run(&machine.plan, machine.monitor)
                },
            )
        }
    }
}

/// Runs both in turn.
fn compare<E: std::error::Error + 'static>(
    name: &'static str,
    rounds: usize,
    mut bare: impl FnMut() -> Result<(), E>,
    mut calls: impl FnMut() -> Result<(f64, f64), Failure>,
) -> Result<Vec<Comparison>, Failure> {
    bare()?;
    let (mut ours, mut reference, mut ratios, mut own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (call_ns, own_ns) = calls()?;
        let start = Instant::now();
        for _ in 0..CALLS {
            bare()?;
        }
        let bare_ns = start.elapsed().as_secs_f64() * 1e9 / CALLS as f64;
        ours.push(call_ns / 1e3);
        reference.push(bare_ns / 1e3);
        ratios.push(call_ns / bare_ns);
        own.push(own_ns);
    }
    let own_ns = median(&mut own);
    Ok(vec![
        Comparison {
            name,
            unit: "us",
            ours: median(&mut ours),
            reference: median(&mut reference),
            ratio: median(&mut ratios),
        },
        Comparison {
            name: "monitor's own part of it / limit",
            unit: "ns",
            ours: own_ns,
            reference: LIMIT_NS,
            ratio: own_ns / LIMIT_NS,
        },
    ])
}

/// Boots the guest and gives nanoseconds per call, and nanoseconds between an exit and the next entry.
fn run<V: Vcpu>(plan: &Plan, monitor: Monitor<V>) -> Result<(f64, f64), Failure> {
    let times = Rc::new(Times::default());
    let vcpu = TimedVcpu { inner: monitor.vcpu, times: Rc::clone(&times) };
    let mut monitor = Monitor::new(plan, vcpu, monitor.dispatcher);
    let record = monitor.run();
    if record.end().map(|end| end.exit_code()) != Some(hvcall::ExitCode(0)) {
        return Err(format!("the bench appliance ended with {:?}", record.end()).into());
    }
    // The first entry is start-up; the last exit is the guest's end.
    let entries = times.entries.get().saturating_sub(2).max(1) as f64;
    let (first, last) = (times.first.get().ok_or("no entry")?, times.last.get().ok_or("no entry")?);
    Ok((last.duration_since(first).as_secs_f64() * 1e9 / entries, median(&mut times.own.take())))
}

fn config(image: &Image) -> Result<MachineConfig, Failure> {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    let signals = SignalFd::with_flags(&SigSet::from_iter([Signal::SIGTERM]), SfdFlags::SFD_NONBLOCK)?;
    Ok(MachineConfig {
        memory_bytes: image.manifest.memory_bytes,
        arguments: format!("calls\0{CALLS}\0").into_bytes(),
        console: Console::new(null.into(), false),
        nics: Vec::new(),
        disks: Vec::new(),
        signals: signals.as_fd().try_clone_to_owned()?,
        gate: GateChoice::Auto,
        polling: loader::monitor::wait::Polling::default(),
    })
}

/// When the vCPU was entered and left.
#[derive(Debug, Default)]
struct Times {
    entries: Cell<u64>,
    first: Cell<Option<Instant>>,
    last: Cell<Option<Instant>>,
    own: RefCell<Vec<f64>>,
}

/// A vCPU that notes how long the monitor keeps it waiting.
#[derive(Debug)]
struct TimedVcpu<V> {
    inner: V,
    times: Rc<Times>,
}

impl<V: Vcpu> Vcpu for TimedVcpu<V> {
    fn enter(&mut self) -> Result<Trap, VcpuError> {
        if let Some(left) = self.times.last.get() {
            self.times.own.borrow_mut().push(left.elapsed().as_secs_f64() * 1e9);
        }
        let trap = self.inner.enter();
        let now = Instant::now();
        self.times.last.set(Some(now));
        if self.times.first.get().is_none() {
            self.times.first.set(Some(now));
        }
        self.times.entries.set(self.times.entries.get() + 1);
        trap
    }

    fn set_result(&mut self, result: i64) {
        self.inner.set_result(result);
    }

    fn registers(&mut self, memory: &GuestMemory) -> Option<Registers> {
        self.inner.registers(memory)
    }

    fn exception(&self, memory: &GuestMemory, vector: u8) -> Exception {
        self.inner.exception(memory, vector)
    }
}
