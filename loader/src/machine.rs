//! A whole machine: image, plan, memory, vCPU and devices put together, before its first instruction.

mod kvm;
mod process;
pub mod tsc;

use std::io;
use std::os::fd::OwnedFd;

use hvcall::{ABI_VERSION, BootInfo, DiskInfo, ExitCode, NicInfo, Wire as _, boot::BOOT_MAGIC};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use crate::address::index;
use crate::backend::kvm::{GateChoice, KvmError};
use crate::backend::process::ProcessError;
use crate::image::Image;
use crate::layout::content::Content;
use crate::layout::{Gate, LayoutError, Plan, RegionKind, Slot};
use crate::memory::{SealedMemory, WritableMemory};
use crate::monitor::clock::Clock;
use crate::monitor::console::Console;
use crate::monitor::disk::Disk;
use crate::monitor::dispatch::Dispatcher;
use crate::monitor::memory::GuestMemory;
use crate::monitor::nic::Nic;
use crate::monitor::signals::Signals;
use crate::monitor::wait::Polling;

pub use kvm::Machine;
pub use process::{PreparedMachine, ProcessMachine};

/// What a machine is given.
#[derive(Debug)]
pub struct MachineConfig {
    /// All memory that the guest can use, whole pages: image, boot information, stack and heap.
    pub memory_bytes: u64,
    /// Arguments, each ended by a NUL, at most [`hvcall::boot::MAX_ARGUMENT_BYTES`].
    pub arguments: Vec<u8>,
    /// Console.
    pub console: Console,
    /// NICs, in manifest order.
    pub nics: Vec<Nic>,
    /// Disks, in manifest order.
    pub disks: Vec<Disk>,
    /// Non-blocking signalfd for SIGTERM, which is blocked.
    pub signals: OwnedFd,
    /// How the guest reaches the monitor.
    pub gate: GateChoice,
    /// Whether waits ask before they sleep.
    pub polling: Polling,
}

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The plan is impossible.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The host gives no memory.
    #[error("cannot set up {what}: {source}")]
    Host {
        /// What was being set up.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
    /// KVM does not do.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The host does not let the guest's process be made.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl MachineError {
    /// Exit code of `ringwall run` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Host { .. } | Self::Layout(LayoutError::Random(_)) => ExitCode::HOST_ERROR,
            Self::Layout(_) => ExitCode::USAGE,
            Self::Kvm(error) => error.exit_code(),
            Self::Process(error) => error.exit_code(),
        }
    }
}

/// Plans a machine with random addresses.
fn plan(image: &Image, memory_bytes: u64, fault_stack_bytes: u64) -> Result<Plan, MachineError> {
    let mut random = Random::default();
    Ok(Plan::with_fault_stack(image, memory_bytes, fault_stack_bytes, &mut || random.draw())?)
}

/// Random numbers of the host, of which one system call gives more than a plan needs, but for a few plans in a billion.
#[derive(Default)]
struct Random(heapless::Vec<u64, { Random::AT_ONCE }>);

impl Random {
    const AT_ONCE: usize = 32;

    fn draw(&mut self) -> Result<u64, Errno> {
        if let Some(number) = self.0.pop() {
            return Ok(number);
        }
        let mut bytes = [0; Self::AT_ONCE * size_of::<u64>()];
        // Up to 256 bytes come whole or not at all (getrandom(2), "NOTES").
        rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())?;
        self.0.extend(<[u64; Self::AT_ONCE]>::read(&bytes));
        self.0.pop().ok_or(Errno::IO)
    }
}

/// Fills a machine's memory, and puts together what its calls act on.
fn dispatcher(
    image: &Image,
    plan: &Plan,
    gate: &Gate,
    config: MachineConfig,
    clock: Clock,
    mut writable: WritableMemory,
) -> Result<Dispatcher, MachineError> {
    let boot = boot_info(plan, &config, &clock);
    let content = Content::new(image, plan, gate, &boot, &config.arguments);
    for (offset, bytes) in &content.writable {
        writable.fill(index(*offset), bytes);
    }
    let pieces = content.read_only.iter().map(|(offset, bytes)| (*offset, bytes.as_ref()));
    let sealed =
        SealedMemory::new(index(plan.slot_bytes(Slot::ReadOnly)), pieces).map_err(host("sealed memory"))?;
    Ok(Dispatcher {
        memory: GuestMemory::new(plan, sealed, writable),
        console: config.console,
        nics: config.nics,
        disks: config.disks,
        clock,
        signals: Signals::new(config.signals),
        polling: config.polling,
        shutdown_told: false,
    })
}

fn boot_info(plan: &Plan, config: &MachineConfig, clock: &Clock) -> BootInfo {
    let (heap, stack) = (plan.region(RegionKind::Heap), plan.region(RegionKind::Stack));
    let mut boot = BootInfo {
        magic: BOOT_MAGIC,
        abi: ABI_VERSION,
        nic_count: count(config.nics.len()),
        disk_count: count(config.disks.len()),
        argument_bytes: count(config.arguments.len()),
        heap_base: heap.gva.0,
        heap_bytes: heap.size_bytes,
        stack_base: stack.gva.0,
        stack_bytes: stack.size_bytes,
        clock: clock.parameters(),
        ..BootInfo::default()
    };
    let nics: Vec<NicInfo> = config.nics.iter().map(|nic| *nic.info()).collect();
    let disks: Vec<DiskInfo> = config.disks.iter().map(|disk| *disk.info()).collect();
    boot.nics[..nics.len()].copy_from_slice(&nics);
    boot.disks[..disks.len()].copy_from_slice(&disks);
    boot
}

/// A length that the command line and the manifest have bounded far below 2^32.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn host(what: &'static str) -> impl Fn(io::Error) -> MachineError {
    move |source| MachineError::Host { what, source }
}
