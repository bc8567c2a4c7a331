//! The monitor process: builds the machine, closes itself, runs the guest, reports.

use std::io::{self, IoSlice, IsTerminal as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use hvcall::ExitCode;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::one_processor::OneProcessor;
use super::{RunConfig, confined};
use crate::backend::choice::Backend;
use crate::backend::process::ProcessVcpu;
use crate::backend::{kvm, process};
use crate::evidence::{Evidence, Wanted};
use crate::exit;
use crate::image::Image;
use crate::layout::Gate;
use crate::machine::{Machine, MachineConfig, MachineError, PreparedMachine};
use crate::monitor::console::Console;
use crate::monitor::disk::Disk;
use crate::monitor::nic::Nic;
use crate::sandbox::{self, SandboxError};

/// Why no guest ran.
#[derive(Debug, thiserror::Error)]
enum MonitorError {
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot set up the monitor process ({step}): {source}")]
    Host { step: &'static str, source: io::Error },
}

impl MonitorError {
    const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Machine(error) => error.exit_code(),
            Self::Sandbox(_) | Self::Host { .. } => ExitCode::HOST_ERROR,
        }
    }
}

fn host<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> MonitorError {
    move |source| MonitorError::Host { step, source: source.into() }
}

/// Body of the forked process.
///
/// `keeper` is where the listener of a guest's process has to outlive this process, and `start` is under way.
pub(super) fn run(
    config: RunConfig,
    digests: bool,
    report: OwnedFd,
    keeper: Option<OwnedFd>,
    start: Option<OneProcessor>,
) -> ! {
    let code = match run_guest(config, digests, &report, keeper.as_ref(), start) {
        Ok(code) => code,
        Err(error) => {
            crate::say!("ringwall: {error}");
            error.exit_code()
        }
    };
    exit::at_once(code)
}

fn run_guest(
    mut config: RunConfig,
    digests: bool,
    report: &OwnedFd,
    keeper: Option<&OwnedFd>,
    start: Option<OneProcessor>,
) -> Result<ExitCode, MonitorError> {
    // Deadlines of `wait` to the nanosecond instead of to 50 us (prctl(2), PR_SET_TIMERSLACK).
    nix::sys::prctl::set_timerslack(1).map_err(host("timer slack"))?;
    sandbox::place(&config.placement)?;
    let introduction = config.verbose.then(|| introduction(&config));
    let introduce = |gate: &str| {
        if let Some(introduction) = introduction {
            crate::say!("{introduction}, gate {gate}");
        }
    };
    match config.backend {
        Backend::Kvm => {
            let wanted = wanted(&mut config, digests);
            let mut machine = build_kvm(config)?;
            introduce(machine.gate.name);
            if let Some(start) = start {
                // The worker that comes next stays where it is made.
                start.leave();
            }
            machine.monitor.vcpu.make_worker().map_err(MachineError::from)?;
            kvm::admit_sigterm(machine.monitor.vcpu.fd()).map_err(MachineError::from)?;
            sandbox::drop_privileges()?;
            let vcpu = (machine.monitor.vcpu.fd().as_raw_fd(), kvm::IOCTLS);
            let evidence = Evidence::new(wanted, &machine.plan, machine.gate, Some(&machine.tables));
            let code = confined::run(&mut machine.monitor, vcpu, evidence, report)?;
            // The machine is not taken apart: most of its descriptors are closed already, and the kernel does the rest.
            std::mem::forget(machine);
            Ok(code)
        }
        Backend::Process => {
            let wanted = wanted(&mut config, digests);
            let machine = prepare_process(config)?;
            introduce(Gate::SYSCALL.name);
            // Before the process is made: then it has no more than this one, and is in the same Landlock domain, or the signal that ends
            // it with this process would not reach it.
            sandbox::drop_privileges()?;
            machine.share_nothing();
            let mut machine = machine.start()?;
            if let Some(keeper) = keeper {
                hand_in(keeper, &machine.monitor.vcpu)?;
            }
            let vcpu = (machine.monitor.vcpu.listener().as_raw_fd(), process::IOCTLS);
            let evidence = Evidence::new(wanted, &machine.plan, Gate::SYSCALL, None);
            let code = confined::run(&mut machine.monitor, vcpu, evidence, report)?;
            std::mem::forget(machine);
            Ok(code)
        }
    }
}

/// Leaves the guest's process with the parent: its listener, and its number.
fn hand_in(keeper: &OwnedFd, guest: &ProcessVcpu) -> Result<(), MonitorError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [guest.listener()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let number = guest.pid().as_raw().to_ne_bytes();
    rustix::net::sendmsg(keeper, &[IoSlice::new(&number)], &mut control, SendFlags::empty())
        .map_err(host("handing the listener in"))?;
    Ok(())
}

/// What is to be shown afterwards.
fn wanted(config: &mut RunConfig, digests: bool) -> Wanted {
    Wanted {
        name: config.image.manifest.name().to_owned(),
        digests,
        core: config.core.take().map(|core| core.file),
    }
}

/// What `--verbose` says about the machine, but for what only the machine knows.
fn introduction(config: &RunConfig) -> String {
    let manifest = &config.image.manifest;
    let (name, version, kib) = (manifest.name(), manifest.version(), config.memory_bytes / 1024);
    format!("ringwall: {name} {version}: {kib} KiB of memory, backend {}", config.backend)
}

fn build_kvm(config: RunConfig) -> Result<Machine, MonitorError> {
    let kvm = kvm::open().map_err(MachineError::from)?;
    let (image, config) = machine_config(config, &[Signal::SIGTERM])?;
    Ok(Machine::new(&kvm, &image, config)?)
}

#[expect(unsafe_code, reason = "sigaction")]
fn prepare_process(config: RunConfig) -> Result<PreparedMachine, MonitorError> {
    // SIGCHLD is for the guest's end alone: a stop before would be merged with it.
    let ends = SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDSTOP, SigSet::empty());
    // SAFETY: the default action, for a signal that is blocked.
    unsafe { sigaction(Signal::SIGCHLD, &ends) }.map_err(host("signals"))?;
    let (image, config) = machine_config(config, &[Signal::SIGTERM, Signal::SIGCHLD])?;
    Ok(PreparedMachine::new(&image, config)?)
}

fn machine_config(config: RunConfig, signals: &[Signal]) -> Result<(Image, MachineConfig), MonitorError> {
    let stdout = rustix::stdio::stdout();
    let console = stdout.try_clone_to_owned().map_err(host("console"))?;
    let signals = SignalFd::with_flags(
        &signals.iter().copied().collect::<SigSet>(),
        SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
    )
    .map_err(host("signals"))?;
    let signals = signals.as_fd().try_clone_to_owned().map_err(host("signals"))?;
    let machine_config = MachineConfig {
        memory_bytes: config.memory_bytes,
        arguments: config.arguments,
        console: Console::new(console, stdout.is_terminal()),
        nics: config.nics.into_iter().map(|nic| Nic::new(nic.fd, nic.info, nic.vnet_header)).collect(),
        disks: config.disks.into_iter().map(|disk| Disk::new(disk.file, disk.info)).collect(),
        signals,
        gate: config.gate,
        polling: config.polling,
    };
    Ok((config.image, machine_config))
}
