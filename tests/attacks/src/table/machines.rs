//! Machines that are spoiled before their first instruction.

use ::tests::{App, TestMachine};
use loader::backend::kvm::GateChoice;
use loader::layout::{Gate, RegionKind};

use crate::case::Got;
use crate::each::Sweep;
use crate::host::Host;
use crate::words;

/// Why processes have no such cases.
pub(super) const NO_MACHINE: &str = "a process has no page tables, slots or descriptors of its own";

/// Changes the page-table entry of a page of the heap, and reads there.
pub(super) fn spoiled_entry(change: impl FnOnce(u64) -> u64) -> Got {
    let mut machine = TestMachine::new(App::Attack, &["each", "read"]);
    let heap = machine.machine.plan.region(RegionKind::Heap).gva.0 + 0x40000;
    let leaf = *machine.page_tables().leaf_of(heap).ok_or("no heap")?;
    machine.change_entry(&leaf, change);
    let mut sweep = Sweep::new(machine);
    sweep.with_each([heap])?;
    Ok(sweep.finish()?.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Puts CR3 elsewhere.
pub(super) fn with_root(root: u64) -> Got {
    let mut machine = TestMachine::new(App::Attack, &["nop"]);
    let fd = machine.machine.monitor.vcpu.fd();
    let mut special = fd.get_sregs().map_err(|error| error.to_string())?;
    special.cr3 = root;
    fd.set_sregs(&special).map_err(|error| error.to_string())?;
    let record = machine.run();
    record.end().map(|end| words::end(end, "")).ok_or_else(|| "no end".to_owned())
}

/// Says hello through the port gate, whatever gate this host would choose.
pub(super) fn through_the_port(host: Host) -> Got {
    let gate = GateChoice::Only(Gate::PORT);
    let machine = TestMachine::with_gate(&App::Attack.parsed(), &["nop"], Vec::new(), gate);
    if host == Host::Amd {
        // TCG looks at the I/O bitmap of a task that is not busy only, which no processor asks for and KVM on Intel refuses.
        let fd = machine.machine.monitor.vcpu.fd();
        let mut special = fd.get_sregs().map_err(|error| error.to_string())?;
        special.tr.type_ = 9;
        fd.set_sregs(&special).map_err(|error| error.to_string())?;
    }
    crate::guest::in_machine(machine)
}

/// Unmaps stacks that the CPU needs to report an exception, and faults.
pub(super) fn without_stacks(kinds: &[RegionKind]) -> Got {
    let mut machine = TestMachine::new(App::Attack, &["read-null"]);
    for &kind in kinds {
        let gva = machine.machine.plan.region(kind).gva.0;
        let leaf = *machine.page_tables().leaf_of(gva).ok_or("no fault stack")?;
        machine.change_entry(&leaf, |entry| entry & !1);
    }
    let record = machine.run();
    record.end().map(|end| words::end(end, "")).ok_or_else(|| "no end".to_owned())
}

/// Makes a page of the text writable in the page tables and stores there.
pub(super) fn store_past_the_page_table(name: &str) -> Got {
    let mut machine = TestMachine::new(App::Attack, &["each", name]);
    let text = *machine.machine.plan.region(RegionKind::Text);
    let leaf = *machine.page_tables().leaf_of(text.gva.0).ok_or("no text")?;
    machine.make_writable(&leaf);
    let mut sweep = Sweep::new(machine);
    sweep.with_each([leaf.gva + 0x800])?;
    Ok(sweep.finish()?.into_iter().map(|(_, outcome)| outcome).collect())
}

/// The vector state before the first instruction.
pub(super) fn vector_state() -> String {
    let machine = TestMachine::new(App::Attack, &["nop"]);
    let fd = machine.machine.monitor.vcpu.fd();
    let Ok(state) = fd.get_fpu() else { return "no state".to_owned() };
    let zero = state.fpr.iter().flatten().chain(state.xmm.iter().flatten()).all(|&byte| byte == 0);
    // MXCSR is not there before the first entry where XSAVE says that its component is in its initial state.
    let initial = zero && matches!(state.mxcsr, 0 | 0x1f80) && state.fcw == 0x37f && state.fsw == 0;
    if initial {
        "initial".to_owned()
    } else {
        format!("mxcsr {:#x}, fcw {:#x}, zero {zero}", state.mxcsr, state.fcw)
    }
}
