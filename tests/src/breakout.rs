//! System calls from inside a closed monitor: what one that a guest has taken over could still do.
//!
//! A process of its own builds a machine, closes itself and runs the guest with the functions that `ringwall run` uses. Only its
//! vCPU is another: it passes on the first entry to the real one, and makes a system call at the second. So the call comes from the
//! thread that runs the guest, between two entries, and nothing in the program that people run knows of it.
#![expect(unsafe_code, reason = "forks, and makes the system calls that a monitor may not make")]

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use hvcall::DiskInfo;
use loader::backend::kvm::{self, GateChoice};
use loader::backend::process;
use loader::evidence::{Evidence, Wanted};
use loader::layout::{Gate, Plan};
use loader::machine::{Machine, MachineConfig, PreparedMachine};
use loader::monitor::console::Console;
use loader::monitor::disk::Disk;
use loader::monitor::dispatch::Dispatcher;
use loader::monitor::memory::GuestMemory;
use loader::monitor::nic::Nic;
use loader::monitor::run::Monitor;
use loader::monitor::vcpu::{Exception, Registers, Trap, Vcpu, VcpuError};
use loader::net::user::{UserNet, frame_pair};
use loader::parent::confined;
use loader::sandbox;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::ForkResult;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{App, Backend};

mod crimes;

pub use crimes::{Crime, Expected, all};

/// What became of a monitor that made a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Killed by this signal.
    Killed(i32),
    /// The call returned, and the guest ran on to its end with this status.
    RanOn(i32),
    /// There was no closed monitor.
    NotStarted,
}

/// Exit status of a process that could not build and close a machine.
const NOT_STARTED: i32 = 99;
const DISK_BYTES: u64 = 64 * 1024;

/// Descriptors of a running monitor.
#[derive(Clone, Copy, Debug)]
pub struct Targets {
    /// The vCPU, or the listener of the guest's process.
    pub vcpu: RawFd,
    /// Shut-down requests.
    pub signals: RawFd,
    /// Console.
    pub console: RawFd,
    /// The NIC.
    pub nic: RawFd,
    /// The disk, or -1.
    pub disk: RawFd,
    /// The timer that is the clock, or -1.
    pub clock: RawFd,
}

/// Makes one system call from inside a closed monitor that runs `hello` with a NIC, and with a disk, and a timer instead of the
/// host's clocks, if `disk` says so.
///
/// # Panics
/// If there can be no process.
#[must_use]
pub fn commit(backend: Backend, disk: bool, crime: &Crime) -> Fate {
    // Built here, where it may take its time and tell what is wrong.
    let image = App::Hello.parsed();
    // SAFETY: the child makes and closes its own machine and ends by `_exit`. What it shares with other threads of this process is the
    // allocator, which the C library keeps usable across a fork.
    match unsafe { nix::unistd::fork() }.expect("a process") {
        ForkResult::Child => {
            let status = inside(backend, &image, disk, crime).unwrap_or(NOT_STARTED);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(status) }
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum: nothing stops this process")]
        ForkResult::Parent { child } => match waitpid(child, None).expect("a child") {
            WaitStatus::Signaled(_, signal, _) => Fate::Killed(signal as i32),
            WaitStatus::Exited(_, NOT_STARTED) => Fate::NotStarted,
            WaitStatus::Exited(_, status) => Fate::RanOn(status),
            other => panic!("{other:?}"),
        },
    }
}

/// What the forked process does: as `ringwall run`, step by step.
fn inside(backend: Backend, image: &loader::image::Image, disk: bool, crime: &Crime) -> Option<i32> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok();
    let (_console, console_writer) = pipe()?;
    let (_report, report) = pipe()?;
    let (signals, _signals_writer) = pipe()?;
    let (nic, _network) = frame_pair().ok()?;
    let disk = if disk { Some(scratch_disk()?) } else { None };
    let targets = Targets {
        vcpu: -1,
        signals: signals.as_raw_fd(),
        console: console_writer.as_raw_fd(),
        nic: nic.as_raw_fd(),
        disk: disk.as_ref().map_or(-1, Disk::raw_fd),
        clock: -1,
    };
    let with_timer = disk.is_some();
    let config = MachineConfig {
        memory_bytes: image.manifest.memory_bytes,
        arguments: Vec::new(),
        console: Console::new(console_writer, false),
        nics: vec![Nic::new(nic, UserNet::nic_info(), true)],
        disks: disk.into_iter().collect(),
        signals,
        gate: GateChoice::Auto,
        polling: loader::monitor::wait::Polling::default(),
    };
    match backend {
        Backend::Kvm => {
            let mut machine = Machine::new(&kvm::open().ok()?, image, config).ok()?;
            machine.monitor.vcpu.make_worker().ok()?;
            kvm::admit_sigterm(machine.monitor.vcpu.fd()).ok()?;
            sandbox::drop_privileges().ok()?;
            let fd = machine.monitor.vcpu.fd().as_raw_fd();
            let (plan, Monitor { vcpu, mut dispatcher, .. }) = (&machine.plan, machine.monitor);
            let clock = clock(&mut dispatcher, with_timer)?;
            let vcpu = Saboteur { vcpu, entries: 0, crime, targets: Targets { vcpu: fd, clock, ..targets } };
            close_and_run(plan, vcpu, dispatcher, (fd, kvm::IOCTLS), &report)
        }
        Backend::Process => {
            let machine = PreparedMachine::new(image, config).ok()?;
            sandbox::drop_privileges().ok()?;
            let machine = machine.start().ok()?;
            let fd = machine.monitor.vcpu.listener().as_raw_fd();
            let (plan, Monitor { vcpu, mut dispatcher, .. }) = (&machine.plan, machine.monitor);
            let clock = clock(&mut dispatcher, with_timer)?;
            let vcpu = Saboteur { vcpu, entries: 0, crime, targets: Targets { vcpu: fd, clock, ..targets } };
            close_and_run(plan, vcpu, dispatcher, (fd, process::IOCTLS), &report)
        }
    }
}

/// Nothing is dropped after this: the caller ends the process.
fn close_and_run<V: Vcpu>(
    plan: &Plan,
    saboteur: Saboteur<'_, V>,
    dispatcher: Dispatcher,
    vcpu: (RawFd, [u64; 2]),
    report: &OwnedFd,
) -> Option<i32> {
    let wanted = Wanted { name: "breakout".to_owned(), digests: false, core: None };
    let evidence = Evidence::new(wanted, plan, Gate::SYSCALL, None);
    let mut monitor = Monitor::new(plan, saboteur, dispatcher);
    let status =
        confined::run(&mut monitor, vcpu, evidence, report).map_or(NOT_STARTED, |code| i32::from(code.0));
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(status) }
}

/// The descriptor of the timer that is the clock from now on, if it is to be one.
fn clock(dispatcher: &mut Dispatcher, with_timer: bool) -> Option<RawFd> {
    if with_timer {
        dispatcher.clock.use_timer().ok()?;
    }
    Some(dispatcher.clock.raw_fd().unwrap_or(-1))
}

fn scratch_disk() -> Option<Disk> {
    let file = rustix::fs::memfd_create("disk", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    rustix::fs::ftruncate(&file, DISK_BYTES).ok()?;
    Some(Disk::new(File::from(file), DiskInfo { sectors: DISK_BYTES / 512, sector_bytes: 512, flags: 0 }))
}

/// A vCPU whose second entry is preceded by a crime.
struct Saboteur<'a, V> {
    vcpu: V,
    entries: u32,
    crime: &'a Crime,
    targets: Targets,
}

impl<V: Vcpu> Vcpu for Saboteur<'_, V> {
    fn enter(&mut self) -> Result<Trap, VcpuError> {
        self.entries += 1;
        if self.entries == 2 {
            (self.crime.commit)(&self.targets);
        }
        self.vcpu.enter()
    }

    fn set_result(&mut self, result: i64) {
        self.vcpu.set_result(result);
    }

    fn registers(&mut self, memory: &GuestMemory) -> Option<Registers> {
        self.vcpu.registers(memory)
    }

    fn exception(&self, memory: &GuestMemory, vector: u8) -> Exception {
        self.vcpu.exception(memory, vector)
    }
}
