//! Confinement: what becomes of each hostile instruction, per kind of host. Whatever becomes of it, what is sealed stays as it was.

use hvcall::GuestExit;
use loader::layout::{Gate, Slot};
use loader::monitor::end::{End, EndRecord};
use tests::{App, Backend, TestMachine, on_backend};

on_backend!(kvm, Kvm, every_instruction_ends_as_it_should_and_changes_nothing_that_is_sealed);

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The guest goes on.
    Done,
    /// The guest goes on, with this in RAX.
    Gives(u64),
    /// It ends by this exception.
    Fault(u8),
    /// It ends by the gate's own instruction, beside the gate.
    ForeignTrap,
    /// It ends by another exit.
    ForeignExit,
}

use Outcome::{Done, ForeignExit, ForeignTrap, Gives};

const DE: Outcome = Outcome::Fault(0);
const DB: Outcome = Outcome::Fault(1);
const BP: Outcome = Outcome::Fault(3);
const OF: Outcome = Outcome::Fault(4);
const UD: Outcome = Outcome::Fault(6);
const SS: Outcome = Outcome::Fault(12);
const GP: Outcome = Outcome::Fault(13);
const PF: Outcome = Outcome::Fault(14);
const MF: Outcome = Outcome::Fault(16);
const XM: Outcome = Outcome::Fault(19);

/// Kinds of host, told apart by the gate.
#[derive(Debug)]
struct PerHost {
    /// kvm-pvm.
    port: &'static [Outcome],
    /// kvm-amd.
    vmmcall: &'static [Outcome],
    /// kvm-intel.
    vmcall: &'static [Outcome],
}

impl PerHost {
    const fn all(outcomes: &'static [Outcome]) -> Self {
        Self { port: outcomes, vmmcall: outcomes, vmcall: outcomes }
    }

    fn on(&self, gate: Gate) -> &'static [Outcome] {
        match gate {
            Gate::VMCALL => self.vmcall,
            Gate::VMMCALL => self.vmmcall,
            _ => self.port,
        }
    }
}

/// Instructions and what may become of them. Where the labs' emulated processors differ from real ones, a comment says so: TCG is
/// QEMU's, under kvm-amd.
#[rustfmt::skip]
const EXPECTED: &[(&[&str], PerHost)] = &[
    (&["hlt", "cli", "sti", "clts", "lmsw", "invlpg", "invd", "wbinvd", "wbnoinvd", "swapgs", "rdpmc"], PerHost::all(&[GP])),
    (&["read-cr0", "write-cr0", "read-cr2", "read-cr3", "write-cr3", "read-cr4", "write-cr4", "read-cr8", "write-cr8"], PerHost::all(&[GP])),
    (&["read-dr6", "read-dr7", "write-dr7"], PerHost::all(&[GP])),
    (&["lgdt", "lidt", "lldt", "ltr"], PerHost::all(&[GP])),
    (&["sgdt", "sidt", "sldt", "str"], PerHost::all(&[GP])),
    // On a CPU without UMIP, KVM on VMX intercepts these to the same effect, but for SMSW, which it lets read CR0 of the machine.
    (&["smsw"], PerHost { port: &[GP], vmmcall: &[GP], vmcall: &[GP, Gives(0x8001_0033)] }),
    (&["selectors"], PerHost::all(&[Done])),
    (&["code-selector"], PerHost::all(&[Gives(0x33)])),
    (&["data-selector"], PerHost::all(&[Gives(0x2b)])),
    (&["load-ds", "load-ss", "far-jump", "far-return", "iretq"], PerHost::all(&[GP])),
    (&["invpcid"], PerHost::all(&[GP, UD])),
    (&["invlpgb", "tlbsync"], PerHost::all(&[GP, UD])),
    (&["clflush-scratch", "nop", "prefetch-kernel"], PerHost::all(&[Done])),
    (&["rdmsr-tsc", "rdmsr-efer", "rdmsr-lstar", "rdmsr-kvm-clock", "rdmsr-pvm", "rdmsr-xen"], PerHost::all(&[GP])),
    (&["wrmsr-xen", "wrmsr-lstar", "wrmsr-efer"], PerHost::all(&[GP])),
    (&["rdtsc", "cpuid", "cpuid-hypervisor"], PerHost::all(&[Done])),
    (&["rdpru", "rdpkru", "wrpkru", "xsaves", "xrstors", "xsetbv"], PerHost::all(&[GP, UD])),
    // TCG does not check.
    (&["wrgsbase-non-canonical"], PerHost { port: &[GP], vmmcall: &[GP, Done], vmcall: &[GP, UD] }),
    (&["monitor", "mwait"], PerHost::all(&[GP, UD])),
    (&["in-0x60", "in-0xcfc", "out-0x7d", "out-0x7f", "out-0x80", "out-0x3f8", "out-0xffff"], PerHost::all(&[GP])),
    (&["out-16-bits-0x7e", "out-32-bits-0x7c"], PerHost::all(&[GP])),
    (&["in-0x7e", "insb-0x7e"], PerHost { port: &[ForeignExit], vmmcall: &[GP], vmcall: &[GP] }),
    (&["out-0x7e", "outsb-0x7e", "rep-outsb-0x7e"], PerHost { port: &[ForeignTrap], vmmcall: &[GP], vmcall: &[GP] }),
    // kvm-pvm answers AMD's hypercall by itself, with "operation not permitted".
    (&["vmcall"], PerHost { port: &[GP], vmmcall: &[GP, UD], vmcall: &[ForeignTrap] }),
    (&["vmmcall", "vmgexit"], PerHost { port: &[Gives(u64::MAX)], vmmcall: &[ForeignTrap], vmcall: &[UD] }),
    (&["vmfunc", "vmxon", "vmxoff", "vmread", "vmwrite", "vmlaunch", "vmresume"], PerHost::all(&[UD])),
    (&["vmptrld", "vmclear", "invept", "invvpid"], PerHost::all(&[UD])),
    (&["vmrun", "vmload", "vmsave", "stgi", "clgi", "skinit", "invlpga"], PerHost::all(&[GP, UD])),
    // kvm-pvm ignores EFER.SCE: LSTAR, 0 in every machine, leads to an unmapped page.
    (&["syscall"], PerHost { port: &[PF], vmmcall: &[UD], vmcall: &[UD] }),
    (&["sysenter", "sysret", "sysexit"], PerHost::all(&[GP, UD])),
    (&["int3", "int-3"], PerHost::all(&[BP])),
    (&["int-4"], PerHost::all(&[OF])),
    // TCG does not know it.
    (&["int1"], PerHost { port: &[DB], vmmcall: &[DB, UD], vmcall: &[DB] }),
    (&["int-0", "int-1", "int-2", "int-6", "int-8", "int-13", "int-14", "int-18", "int-0x20", "int-0x2e", "int-0x80", "int-0xff"],
        PerHost { port: &[UD], vmmcall: &[GP], vmcall: &[GP] }),
    (&["into", "ud0", "ud1", "ud2", "kvm-prefix-cpuid", "lock-nop", "stac", "clac"], PerHost::all(&[UD])),
    (&["pvm-prefix-cpuid", "sixteen-bytes"], PerHost::all(&[GP])),
    (&["divide-by-zero", "divide-overflow"], PerHost::all(&[DE])),
    (&["x87-unmasked"], PerHost::all(&[MF])),
    // TCG raises no exception.
    (&["sse-unmasked"], PerHost { port: &[XM], vmmcall: &[XM, Done], vmcall: &[XM] }),
    // Of IF, IOPL, VIF and VIP, IF alone is set before and after.
    (&["popf-privileged"], PerHost::all(&[Gives(0x200)])),
    (&["popf-trap"], PerHost::all(&[DB])),
    (&["encls", "enclu", "getsec", "rsm", "pconfig", "seamcall", "tdcall", "senduipi", "uiret", "wrss", "mcommit"], PerHost::all(&[GP, UD])),
    (&["read-null", "read-vsyscall", "call-vsyscall", "read-kernel"], PerHost::all(&[PF])),
    // TCG takes it for no access.
    (&["clflush-kernel"], PerHost { port: &[PF], vmmcall: &[PF, Done], vmcall: &[PF] }),
    (&["read-non-canonical", "jump-non-canonical"], PerHost::all(&[GP])),
    (&["push-non-canonical"], PerHost { port: &[SS], vmmcall: &[SS, GP], vmcall: &[SS] }),
];

fn every_instruction_ends_as_it_should_and_changes_nothing_that_is_sealed(backend: Backend) {
    let gate = backend.gate();
    let mut wrong = Vec::new();
    for (names, expected) in EXPECTED {
        for name in *names {
            let found = outcome(name);
            if !expected.on(gate).iter().any(|&expected| matches(expected, found)) {
                wrong.push(format!("{name}: {found:x?}, expected {:x?}", expected.on(gate)));
            }
        }
    }
    assert!(wrong.is_empty(), "gate {}:\n{}", gate.name, wrong.join("\n"));
}

/// Executes an instruction in a machine of its own.
fn outcome(name: &str) -> Outcome {
    let mut machine = TestMachine::new(App::Attack, &[name]);
    let sealed = |machine: &TestMachine| (machine.bytes_of(Slot::Tables), machine.bytes_of(Slot::ReadOnly));
    let before = sealed(&machine);
    let record: EndRecord = machine.run();
    assert!(before == sealed(&machine), "{name} changed what is sealed");
    let output = machine.output();
    match record.end().unwrap() {
        End::Fault { vector } => Outcome::Fault(vector),
        End::ForeignTrap => ForeignTrap,
        End::ForeignExit { .. } => ForeignExit,
        End::Exit(GuestExit::Status(0)) => {
            let result = output.trim_end().strip_prefix("completed 0x");
            let result = result.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            Gives(result.unwrap_or_else(|| panic!("{name}: {output}")))
        }
        other @ (End::Exit(_)
        | End::BadExit { .. }
        | End::TripleFault
        | End::Killed { .. }
        | End::RunFailed { .. }
        | End::EntryFailed { .. }) => panic!("{name}: {other:?}, {output}"),
    }
}

fn matches(expected: Outcome, found: Outcome) -> bool {
    expected == found || expected == Done && matches!(found, Gives(_))
}
