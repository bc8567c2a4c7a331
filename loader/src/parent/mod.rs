//! The parent of a monitor: small, unsandboxed, and never touched by a guest.
//!
//! It forks the network helpers and the monitor, passes SIGTERM on, kills after the grace period or the time limit, and turns
//! the monitor's end record into an exit code and an explanation.

pub mod confined;
mod cores;
mod explain;
mod monitor_process;
mod one_processor;
mod receipt;
mod report;
mod supervise;
mod wall;

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use hvcall::{DiskInfo, NicInfo};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{ForkResult, Pid};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::backend::choice::Backend;
use crate::backend::kvm::GateChoice;
use crate::evidence::output::Output;
use crate::exit;
use crate::image::Image;
use crate::monitor::wait::Polling;
use crate::net::frames::Relay;
use crate::net::user::Prepared;
use crate::sandbox::Placement;
use crate::signature::Signed;
use one_processor::OneProcessor;
use report::Report;

/// One run of one image.
#[derive(Debug)]
pub struct RunConfig {
    /// The image.
    pub image: Image,
    /// Its file, beside which the symbol file is looked for.
    pub image_path: PathBuf,
    /// See [`crate::machine::MachineConfig`].
    pub memory_bytes: u64,
    /// What runs the guest.
    pub backend: Backend,
    /// See [`crate::machine::MachineConfig`].
    pub arguments: Vec<u8>,
    /// How the guest reaches the monitor.
    pub gate: GateChoice,
    /// NICs, in manifest order.
    pub nics: Vec<NicConfig>,
    /// Disks, in manifest order.
    pub disks: Vec<DiskConfig>,
    /// How long the guest's waits may ask before they sleep.
    pub polling: Polling,
    /// How long the appliance may take to end after SIGTERM.
    pub grace: Duration,
    /// How long it may run at all.
    pub time_limit: Option<Duration>,
    /// Who has signed the image, if that was checked.
    pub signed: Option<Signed>,
    /// Where a receipt goes.
    pub receipt: Option<Output>,
    /// Where a core goes, should the guest break.
    pub core: Option<Output>,
    /// Where monitor and guest run.
    pub placement: Placement,
    /// Whether to say more on standard error.
    pub verbose: bool,
}

/// A NIC for the monitor.
#[derive(Debug)]
pub struct NicConfig {
    /// Non-blocking descriptor, one frame per read or write.
    pub fd: OwnedFd,
    /// What the guest is told.
    pub info: NicInfo,
    /// Whether frames are preceded by a `struct virtio_net_hdr`.
    pub vnet_header: bool,
    /// The helper that serves the other end, with its end.
    pub helper: Option<(Helper, OwnedFd)>,
}

/// A process that stands between a monitor and the network.
#[derive(Debug)]
pub enum Helper {
    /// The userspace network.
    User(Prepared),
    /// A frame policy. Boxed: it is the larger one by far.
    Relay(Box<Relay>),
}

impl Helper {
    /// Becomes the helper. To be called in a freshly forked process.
    fn run(self, frames: OwnedFd) -> ! {
        match self {
            Self::User(prepared) => prepared.run(frames),
            Self::Relay(relay) => relay.run(frames),
        }
    }
}

/// A disk for the monitor.
#[derive(Debug)]
pub struct DiskConfig {
    /// The open, locked file.
    pub file: std::fs::File,
    /// What the guest is told.
    pub info: DiskInfo,
}

/// Why a run did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the monitor ({step}): {source}")]
pub struct StartError {
    step: &'static str,
    source: std::io::Error,
}

fn step(step: &'static str) -> impl Fn(nix::Error) -> StartError {
    move |errno| StartError { step, source: errno.into() }
}

/// Runs an image to its end, and ends this process with how it ended: to give memory back in good order would take page faults.
///
/// # Errors
/// [`StartError`] if the processes cannot be made.
pub fn run(mut config: RunConfig) -> Result<Infallible, StartError> {
    // Blocked from here on, in this process and in those it forks: signals are read, never delivered.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD]);
    signals.thread_block().map_err(step("blocking signals"))?;
    // A write beyond a limit of the host's (RLIMIT_FSIZE), to a disk or a core, is then an error and not the writer's death.
    SigSet::from(Signal::SIGXFSZ).thread_block().map_err(step("blocking signals"))?;
    // A guest's process whose monitor ends becomes a child of this one, to be waited for here.
    nix::sys::prctl::set_child_subreaper(true).map_err(step("subreaper"))?;
    let (report, report_writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)
            .map_err(|errno| StartError { step: "pipe", source: errno.into() })?;
    let mut helpers = Vec::new();
    for nic in &mut config.nics {
        if let Some((helper, frames)) = nic.helper.take() {
            match fork_child()? {
                Some(helper) => helpers.push(helper),
                None => helper.run(frames),
            }
        }
    }
    let receipt = receipt::Receipt::begin(&mut config);
    let core = config.core.as_ref().map(|core| (core.path.clone(), config.image_path.clone()));
    let explainer = explain::Explainer::new(&config);
    let limits = supervise::Limits { grace: config.grace, time_limit: config.time_limit };
    let (kept, keeper) = keeping(config.backend)?;
    // Where it was said on which processor to run, that is enough.
    let start = if config.placement.cpu.is_none() { OneProcessor::stay() } else { None };
    let Some(monitor) = fork_child()? else {
        monitor_process::run(config, receipt.is_some(), report_writer, keeper, start)
    };
    let RunConfig { image, nics, disks, .. } = config;
    // Only the monitor keeps what the guest uses, so that its end is seen by whoever holds the other ends.
    drop((report_writer, keeper, nics, disks));
    let mut image = Some(image);
    let settle = || {
        image = None;
        start.as_ref().is_none_or(|start| start.end(monitor, kept.as_ref()))
    };
    let outcome = supervise::supervise(monitor, &signals, limits, settle).map_err(step("waiting"))?;
    for helper in helpers {
        supervise::end_helper(helper);
    }
    // Now: after an explanation this process may do little more than explain.
    supervise::reap_orphans();
    let report = Report::read(&report);
    if let Some((core, _)) = &core {
        // As long as files can be removed: explaining may close this process.
        cores::remove_if_empty(core, &report);
    }
    let code = explainer.explain(outcome, &report);
    if let Some((core, image)) = core {
        cores::say(&core, &image, &report);
    }
    let code = receipt.map_or(code, |receipt| receipt.write(outcome, &report, code));
    exit::at_once(code)
}

/// A socket pair through which a monitor hands in the listener of its guest's process, and the number of that. The listener is never taken
/// out of there: it only has to outlive the monitor, because with the last listener a waiting call returns, and the guest would go on
/// for a moment.
fn keeping(backend: Backend) -> Result<(Option<OwnedFd>, Option<OwnedFd>), StartError> {
    if backend != Backend::Process {
        return Ok((None, None));
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (kept, keeper) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|errno| StartError { step: "socket pair", source: errno.into() })?;
    Ok((Some(kept), Some(keeper)))
}

/// Forks. `None` in the child, which must not return from here, and which dies with this process: nobody would pass on signals
/// or explain its end.
#[expect(unsafe_code, reason = "fork")]
fn fork_child() -> Result<Option<Pid>, StartError> {
    let parent = nix::unistd::getpid();
    // SAFETY: this process has one thread, so the child's copy of every lock and of the heap is in a usable state.
    match unsafe { nix::unistd::fork() }.map_err(step("fork"))? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("parent-death signal"))?;
            match nix::unistd::getppid() {
                found if found == parent => Ok(None),
                // The parent is not in this process's PID namespace, of which this is the first process: after it there can be no other.
                found if found.as_raw() == 0 => {
                    let reason = "a new PID namespace has to have another first process; unshare makes one with --pid --fork";
                    Err(StartError { step: "fork", source: std::io::Error::other(reason) })
                }
                // It has died before the line above.
                _ => Err(step("fork")(nix::Error::ESRCH)),
            }
        }
    }
}
