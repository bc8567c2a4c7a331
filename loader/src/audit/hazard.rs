//! Instructions that no appliance has a use for.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};
use serde::Serialize;

/// A kind of instruction that an image may not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hazard {
    /// The image's own trap: allowed once, in the gate.
    Vmcall,
    /// AMD's hypercalls.
    Vmmcall,
    /// System call.
    Syscall,
    /// System call, the older way.
    Sysenter,
    /// `int n` and `int1`; not `int3`, which pads code.
    SoftwareInterrupt,
    /// Ports.
    PortIo,
    /// Halting and the interrupt flag.
    Halt,
    /// Control and debug registers.
    ControlRegister,
    /// Loading descriptor tables.
    DescriptorLoad,
    /// Reading where descriptor tables are.
    DescriptorStore,
    /// Model-specific registers and counters.
    Msr,
    /// Caches and address translation.
    Cache,
    /// Returning from kernels and handlers.
    KernelReturn,
    /// Jumps, calls and returns to another code segment.
    FarTransfer,
    /// Loading a segment register.
    SegmentLoad,
    /// Segment bases.
    SegmentBase,
    /// Protection keys.
    ProtectionKey,
    /// Restoring or saving more than the program's own registers.
    ExtendedState,
    /// Virtual machines.
    Virtualisation,
    /// Enclaves, trust domains, encrypted memory, system management.
    TrustedExecution,
    /// Waiting without a deadline of the monitor's.
    Waiting,
    /// User interrupts.
    UserInterrupt,
    /// Shadow stacks.
    ShadowStack,
    /// Anything else that is privileged.
    Other,
}

/// A mnemonic, and its name. All names of all mnemonics, which `Debug` has, are a table that every start of the program pays for.
type Named = (Mnemonic, &'static str);

macro_rules! named {
    [$($mnemonic:ident),* $(,)?] => { &[$((Mnemonic::$mnemonic, stringify!($mnemonic))),*] };
}

/// Instructions that evidence may name and that are no hazards, or not always.
const OTHERS: &[Named] = named![
    Rdtsc, Rdtscp, Cpuid, Rdpid, Mov, Pop, Jmp, Call, Add, Sub, And, Lea, Enter, Leave, Xchg, INVALID,
];

#[rustfmt::skip]
const KINDS: &[(Hazard, &[Named])] = &[
    (Hazard::Vmcall, named![Vmcall]),
    (Hazard::Vmmcall, named![Vmmcall, Vmgexit]),
    (Hazard::Syscall, named![Syscall]),
    (Hazard::Sysenter, named![Sysenter]),
    (Hazard::SoftwareInterrupt, named![Int, Int1, Into]),
    (Hazard::PortIo, named![In, Insb, Insw, Insd, Out, Outsb, Outsw, Outsd]),
    (Hazard::Halt, named![Hlt, Cli, Sti]),
    (Hazard::ControlRegister, named![Clts, Lmsw]),
    (Hazard::DescriptorLoad, named![Lgdt, Lidt, Lldt, Ltr]),
    (Hazard::DescriptorStore, named![Sgdt, Sidt, Sldt, Str, Smsw]),
    (Hazard::Msr, named![
        Rdmsr, Wrmsr, Rdmsrlist, Wrmsrlist, Wrmsrns, Rdpmc, Rdpru, Xsetbv, Swapgs, Lkgs, Hreset,
    ]),
    (Hazard::Cache, named![Invd, Wbinvd, Wbnoinvd, Invlpg, Invlpga, Invlpgb, Invpcid, Tlbsync]),
    (Hazard::KernelReturn, named![
        Iret, Iretd, Iretq, Sysret, Sysretq, Sysexit, Sysexitq, Eretu, Erets, Rsm,
    ]),
    (Hazard::FarTransfer, named![Retf]),
    (Hazard::SegmentLoad, named![Lds, Les, Lfs, Lgs, Lss]),
    (Hazard::SegmentBase, named![Wrfsbase, Wrgsbase]),
    (Hazard::ProtectionKey, named![Rdpkru, Wrpkru]),
    (Hazard::ExtendedState, named![Xrstor, Xrstor64, Xrstors, Xrstors64, Xsaves, Xsaves64]),
    (Hazard::Virtualisation, named![
        Vmxon, Vmxoff, Vmlaunch, Vmresume, Vmread, Vmwrite, Vmptrld, Vmptrst, Vmclear, Vmfunc,
        Vmrun, Vmload, Vmsave, Stgi, Clgi, Skinit, Invept, Invvpid,
    ]),
    (Hazard::TrustedExecution, named![
        Encls, Enclu, Enclv, Getsec, Getsecq, Seamcall, Seamops, Seamret, Tdcall, Pconfig,
        Psmash, Pvalidate, Rmpadjust, Rmpquery, Rmpupdate, Pbndkb, Loadiwkey, Enqcmd, Enqcmds,
    ]),
    (Hazard::Waiting, named![Monitor, Mwait, Monitorx, Mwaitx, Umonitor, Umwait, Tpause]),
    (Hazard::UserInterrupt, named![Clui, Stui, Testui, Senduipi, Uiret]),
    (Hazard::ShadowStack, named![
        Wrssd, Wrssq, Wrussd, Wrussq, Setssbsy, Clrssbsy, Rstorssp, Saveprevssp, Incsspd, Incsspq,
        Stac, Clac,
    ]),
];

/// Tells hazards from other instructions, by a table over all mnemonics.
pub(super) struct Classifier {
    by_mnemonic: Vec<Option<Hazard>>,
}

impl Classifier {
    pub(super) fn new() -> Self {
        let mut by_mnemonic = vec![None; Mnemonic::values().len()];
        for (hazard, mnemonics) in KINDS {
            for (mnemonic, _) in *mnemonics {
                if let Some(slot) = by_mnemonic.get_mut(*mnemonic as usize) {
                    *slot = Some(*hazard);
                }
            }
        }
        Self { by_mnemonic }
    }

    /// What kind of hazard an instruction is, if it is one.
    pub(super) fn hazard(&self, instruction: &Instruction) -> Option<Hazard> {
        let code = instruction.code();
        let mnemonic = code.mnemonic();
        if let Some(hazard) = self.by_mnemonic.get(mnemonic as usize).copied().flatten() {
            return Some(hazard);
        }
        let far = code.is_jmp_far()
            || code.is_jmp_far_indirect()
            || code.is_call_far()
            || code.is_call_far_indirect();
        if far {
            return Some(Hazard::FarTransfer);
        }
        if matches!(mnemonic, Mnemonic::Mov | Mnemonic::Pop) && loads_segment(instruction) {
            return Some(Hazard::SegmentLoad);
        }
        let moves = mnemonic == Mnemonic::Mov;
        code.is_privileged().then_some(if moves { Hazard::ControlRegister } else { Hazard::Other })
    }
}

fn loads_segment(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register && instruction.op0_register().is_segment_register()
}

/// Whether an instruction reads the time-stamp counter or identifies the processor.
pub(super) fn looks_at_host(code: Code) -> bool {
    matches!(code.mnemonic(), Mnemonic::Rdtsc | Mnemonic::Rdtscp | Mnemonic::Cpuid | Mnemonic::Rdpid)
}

/// An instruction's name as assemblers write it.
pub(super) fn name(mnemonic: Mnemonic) -> String {
    let hazards = KINDS.iter().flat_map(|(_, mnemonics)| *mnemonics);
    let found = hazards.chain(OTHERS).find(|(known, _)| *known == mnemonic);
    found.map_or_else(|| format!("instruction {}", mnemonic as u32), |(_, name)| name.to_ascii_lowercase())
}
