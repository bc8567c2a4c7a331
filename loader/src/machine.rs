//! A whole machine: image, plan, memory, vCPU and devices put together, before its first instruction.

mod process;

use std::io;
use std::os::fd::OwnedFd;

use hvcall::{ABI_VERSION, BootInfo, DiskInfo, ExitCode, NicInfo, boot::BOOT_MAGIC};
use kvm_ioctls::{Kvm, VmFd};

use crate::address::{PAGE_BYTES, index};
use crate::backend::kvm::{self, GateChoice, KvmError, KvmVcpu, Memslot};
use crate::backend::process::ProcessError;
use crate::image::Image;
use crate::layout::content::{self, Content};
use crate::layout::{Gate, LayoutError, Plan, RegionKind, Slot};
use crate::memory::{AnonymousMemory, SealedMemory};
use crate::monitor::clock::{Clock, has_invariant_tsc};
use crate::monitor::console::Console;
use crate::monitor::disk::Disk;
use crate::monitor::dispatch::Dispatcher;
use crate::monitor::memory::GuestMemory;
use crate::monitor::nic::Nic;
use crate::monitor::run::Monitor;
use crate::monitor::signals::Signals;

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
}

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The plan is impossible.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The host gives no memory or no random numbers.
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
            Self::Layout(_) => ExitCode::USAGE,
            Self::Host { .. } => ExitCode::HOST_ERROR,
            Self::Kvm(error) => error.exit_code(),
            Self::Process(error) => error.exit_code(),
        }
    }
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// Where everything lies.
    pub plan: Plan,
    /// How the guest reaches the monitor.
    pub gate: Gate,
    /// The memory slots as the kernel has them.
    pub slots: [Memslot; 3],
    /// The trusted part.
    pub monitor: Monitor<KvmVcpu>,
    /// Page tables and descriptors.
    pub tables: AnonymousMemory,
    _vm: VmFd,
}

impl Machine {
    /// Builds a machine.
    ///
    /// # Errors
    /// [`MachineError`] naming the step that failed.
    pub fn new(kvm: &Kvm, image: &Image, config: MachineConfig) -> Result<Self, MachineError> {
        let gate = kvm::gate::choose(kvm, config.gate)?;
        let plan = plan(image, config.memory_bytes, PAGE_BYTES)?;
        let vm = kvm
            .create_vm()
            .map_err(|error| KvmError::Ioctl { ioctl: "KVM_CREATE_VM", errno: error.errno() })?;
        kvm::gate::configure(&vm, &gate)?;
        let mut tables = anonymous(content::tables_bytes(&plan), "page tables")?;
        let mut writable = anonymous(plan.slot_bytes(Slot::Writable), "guest memory")?;
        // Slots that a vCPU cannot use yet cost less, so all but the sealed one, whose content needs the vCPU's clock, come first.
        let tables_slot = kvm::set_anonymous(&vm, Slot::Tables, &tables)?;
        let writable_slot = kvm::set_anonymous(&vm, Slot::Writable, &writable)?;
        let vcpu = KvmVcpu::new(&vm, gate)?;
        let tsc_khz = if has_invariant_tsc() { vcpu.align_tsc() } else { None };
        let clock = Clock::start(tsc_khz);
        vcpu.set_state(&plan, content::fill_tables(&plan, &gate, &mut tables))?;
        let content =
            Content::new(image, &plan, &gate, &boot_info(&plan, &config, &clock), &config.arguments);
        for (offset, bytes) in &content.writable {
            writable.fill(index(*offset), bytes);
        }
        let pieces = content.read_only.iter().map(|(offset, bytes)| (*offset, bytes.as_ref()));
        let sealed = SealedMemory::new(index(plan.slot_bytes(Slot::ReadOnly)), pieces)
            .map_err(|source| host("sealed memory", source))?;
        let slots = [kvm::set_sealed(&vm, Slot::ReadOnly, &sealed)?, tables_slot, writable_slot];
        let dispatcher = Dispatcher {
            memory: GuestMemory::new(&plan, sealed, writable),
            console: config.console,
            nics: config.nics,
            disks: config.disks,
            clock,
            signals: Signals::new(config.signals),
            shutdown_told: false,
        };
        let monitor = Monitor::new(&plan, vcpu, dispatcher);
        Ok(Self { plan, gate, slots, monitor, tables, _vm: vm })
    }
}

fn plan(image: &Image, memory_bytes: u64, fault_stack_bytes: u64) -> Result<Plan, MachineError> {
    let mut failed = None;
    let mut random = || {
        let mut bytes = [0; 8];
        if let Err(error) = getrandom(&mut bytes) {
            failed = Some(error);
        }
        u64::from_le_bytes(bytes)
    };
    // A generator that fails gives zeros for ever, which the planner would draw again for ever: ask once before.
    random();
    if let Some(source) = failed {
        return Err(host("random addresses", source));
    }
    Ok(Plan::with_fault_stack(image, memory_bytes, fault_stack_bytes, &mut || {
        let mut bytes = [0; 8];
        let _ = getrandom(&mut bytes);
        u64::from_le_bytes(bytes)
    })?)
}

fn getrandom(bytes: &mut [u8]) -> io::Result<()> {
    rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(())
}

fn anonymous(size_bytes: u64, what: &'static str) -> Result<AnonymousMemory, MachineError> {
    AnonymousMemory::new(index(size_bytes)).map_err(|source| host(what, source))
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

fn host(what: &'static str, source: io::Error) -> MachineError {
    MachineError::Host { what, source }
}
