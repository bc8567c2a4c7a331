//! A machine inside the test process, to be looked into before and after its run.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use loader::backend::kvm::{self, GateChoice};
use loader::image::Image;
use loader::layout::{Plan, Slot};
use loader::machine::{Machine, MachineConfig, PreparedMachine};
use loader::monitor::console::Console;
use loader::monitor::disk::Disk;
use loader::monitor::end::EndRecord;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{App, Leaf, PageTables};

/// A machine with pipes for console and signals. It has no sandbox and no parent: those are tested by running the program.
#[derive(Debug)]
pub struct TestMachine {
    /// The machine.
    pub machine: Machine,
    console: File,
    _signals: OwnedFd,
}

impl TestMachine {
    /// Builds a machine for an appliance.
    ///
    /// # Panics
    /// If it cannot be built.
    #[must_use]
    pub fn new(app: App, arguments: &[&str]) -> Self {
        Self::with_disks(&app.parsed(), arguments, Vec::new())
    }

    /// Builds a machine with disks, in manifest order.
    ///
    /// # Panics
    /// If it cannot be built.
    #[must_use]
    pub fn with_disks(image: &Image, arguments: &[&str], disks: Vec<Disk>) -> Self {
        Self::with_gate(image, arguments, disks, GateChoice::Auto)
    }

    /// As [`TestMachine::with_disks`], with a gate.
    ///
    /// # Panics
    /// If it cannot be built.
    #[must_use]
    pub fn with_gate(image: &Image, arguments: &[&str], disks: Vec<Disk>, gate: GateChoice) -> Self {
        let (config, console, signals_writer) = config(image, arguments, disks);
        let config = MachineConfig { gate, ..config };
        let kvm = kvm::open().expect("the test was started because there is KVM");
        let machine = Machine::new(&kvm, image, config).expect("a machine");
        Self { machine, console, _signals: signals_writer }
    }

    /// Plans and fills a machine whose guest would be a process, and says where everything lies in it.
    ///
    /// # Panics
    /// If it cannot be built.
    #[must_use]
    pub fn plan_of_process(image: &Image) -> Plan {
        let (config, ..) = config(image, &[], Vec::new());
        PreparedMachine::new(image, config).expect("a machine").plan().clone()
    }

    /// Runs the guest to its end.
    pub fn run(&mut self) -> EndRecord {
        self.machine.monitor.run()
    }

    /// What the guest has printed since the last time. At most 64 KiB, as much as a pipe holds.
    pub fn output(&mut self) -> String {
        String::from_utf8_lossy(&self.output_bytes()).into_owned()
    }

    /// The same as it is.
    pub fn output_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // The writer is still open, so this ends with "would block".
        let _ = self.console.read_to_end(&mut bytes);
        bytes
    }

    /// The page tables that CR3 leads to.
    ///
    /// # Panics
    /// If KVM does not give the registers.
    #[must_use]
    pub fn page_tables(&self) -> PageTables {
        let root = self.machine.monitor.vcpu.special_registers().expect("KVM_GET_SREGS").cr3;
        PageTables::walk(&self.bytes_of(Slot::Tables), self.base_of(Slot::Tables), root)
    }

    /// A slot's memory, copied.
    #[must_use]
    pub fn bytes_of(&self, slot: Slot) -> Vec<u8> {
        let memory = &self.machine.monitor.dispatcher.memory;
        match slot {
            Slot::ReadOnly => memory.sealed().bytes().to_vec(),
            Slot::Tables => self.machine.tables.copy_out(0, self.machine.tables.size_bytes()),
            Slot::Writable => memory.writable().copy_out(0, memory.writable().size_bytes()),
        }
    }

    /// The slot that a mapping's memory lies in, as KVM has it.
    ///
    /// # Panics
    /// If it lies in none, or not wholly in one.
    #[must_use]
    pub fn slot_of(&self, leaf: &Leaf) -> Slot {
        let holds = |slot: &&kvm::Memslot| {
            leaf.gpa >= slot.gpa && leaf.gpa + leaf.size_bytes <= slot.gpa + slot.size_bytes
        };
        self.machine.slots.iter().find(holds).unwrap_or_else(|| panic!("{leaf:x?} is mapped to nothing")).slot
    }

    /// Reads guest memory at a guest-virtual address, within one page, by way of the page tables.
    ///
    /// # Panics
    /// If it is not mapped.
    #[must_use]
    pub fn read(&self, gva: u64, size_bytes: usize) -> Vec<u8> {
        let tables = self.page_tables();
        let leaf = tables.leaf_of(gva).unwrap_or_else(|| panic!("{gva:#x} is not mapped"));
        let slot = self.slot_of(leaf);
        let offset = leaf.gpa + (gva - leaf.gva) - self.base_of(slot);
        let offset = usize::try_from(offset).expect("offsets fit");
        self.bytes_of(slot)[offset..][..size_bytes].to_vec()
    }

    /// Spoils the page tables: CPL 3 may write a mapping whatever it may do otherwise. Before the first entry only.
    ///
    /// # Panics
    /// If the entry lies outside the slot for tables.
    pub fn make_writable(&mut self, leaf: &Leaf) {
        const WRITABLE: u64 = 1 << 1;
        self.change_entry(leaf, |entry| entry | WRITABLE);
    }

    /// Spoils the page tables: changes the entry of a mapping. Before the first entry only.
    ///
    /// # Panics
    /// If the entry lies outside the slot for tables.
    pub fn change_entry(&mut self, leaf: &Leaf, change: impl FnOnce(u64) -> u64) {
        let offset = leaf.entry_gpa - self.base_of(Slot::Tables);
        let offset = usize::try_from(offset).expect("offsets fit");
        let bytes = self.machine.tables.copy_out(offset, 8).try_into().expect("eight bytes");
        self.machine.tables.fill(offset, &change(u64::from_le_bytes(bytes)).to_le_bytes());
    }

    /// First guest-physical address of a slot, as KVM has it.
    fn base_of(&self, slot: Slot) -> u64 {
        self.machine.slots.iter().find(|known| known.slot == slot).expect("three slots").gpa
    }
}

/// A configuration, what its console prints to, and what its signals come from.
fn config(image: &Image, arguments: &[&str], disks: Vec<Disk>) -> (MachineConfig, File, OwnedFd) {
    let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    let (console, console_writer) = pipe();
    let (signals, signals_writer) = pipe();
    let config = MachineConfig {
        memory_bytes: image.manifest.memory_bytes,
        arguments: arguments.iter().flat_map(|argument| [argument.as_bytes(), b"\0"].concat()).collect(),
        console: Console::new(console_writer, false),
        nics: Vec::new(),
        disks,
        signals,
        gate: GateChoice::Auto,
        polling: loader::monitor::wait::Polling::default(),
    };
    (config, File::from(console), signals_writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    /// Here and not with the other tests: those run side by side in one process and open descriptors all the time.
    #[test]
    fn machines_leave_no_descriptor_and_no_mapping_behind() {
        Backend::Kvm.run(|_| {
            let boot = || assert_eq!(TestMachine::new(App::Hello, &[]).run().end().unwrap().exit_code().0, 0);
            let held = || {
                let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
                let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
                (descriptors, maps.matches("ringwall-sealed").count())
            };
            boot();
            let before = held();
            for _ in 0..20 {
                boot();
            }
            assert_eq!(held(), before);
        });
    }
}
