//! A machine that KVM runs.

use kvm_ioctls::{Kvm, VmFd};

use super::{MachineConfig, MachineError, dispatcher, host, plan, tsc};
use crate::address::{PAGE_BYTES, index};
use crate::backend::kvm::{self, KvmError, KvmVcpu, Memslot};
use crate::image::Image;
use crate::layout::{Gate, Plan, Slot, content};
use crate::memory::WritableMemory;
use crate::monitor::clock::Clock;
use crate::monitor::run::Monitor;

/// A virtual machine before its first instruction.
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
    pub tables: WritableMemory,
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
        let vm = kvm.create_vm().map_err(|error| KvmError::ioctl("KVM_CREATE_VM", error))?;
        kvm::gate::configure(&vm, &gate)?;
        let mut tables =
            WritableMemory::private(index(content::tables_bytes(&plan))).map_err(host("page tables"))?;
        let writable =
            WritableMemory::private(index(plan.slot_bytes(Slot::Writable))).map_err(host("guest memory"))?;
        // Slots that a vCPU cannot use yet cost less, so all but the sealed one, whose content needs the vCPU's clock, come first.
        let tables_slot = kvm::set_writable(&vm, Slot::Tables, &tables)?;
        let writable_slot = kvm::set_writable(&vm, Slot::Writable, &writable)?;
        let vcpu = KvmVcpu::new(&vm, gate)?;
        let tsc_khz = if tsc::is_invariant() { vcpu.align_tsc() } else { None };
        let clock = Clock::start(tsc_khz);
        vcpu.set_state(&plan, content::fill_tables(&plan, &gate, &mut tables))?;
        let dispatcher = dispatcher(image, &plan, &gate, config, clock, writable)?;
        let slots = [kvm::set_sealed(&vm, dispatcher.memory.sealed())?, tables_slot, writable_slot];
        let monitor = Monitor::new(&plan, vcpu, dispatcher);
        Ok(Self { plan, gate, slots, monitor, tables, _vm: vm })
    }
}
