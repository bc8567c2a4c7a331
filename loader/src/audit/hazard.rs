//! Instructions that no appliance has a use for.

use Mnemonic as M;
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

#[rustfmt::skip]
const KINDS: &[(Hazard, &[Mnemonic])] = &[
    (Hazard::Vmcall, &[M::Vmcall]),
    (Hazard::Vmmcall, &[M::Vmmcall, M::Vmgexit]),
    (Hazard::Syscall, &[M::Syscall]),
    (Hazard::Sysenter, &[M::Sysenter]),
    (Hazard::SoftwareInterrupt, &[M::Int, M::Int1, M::Into]),
    (Hazard::PortIo, &[M::In, M::Insb, M::Insw, M::Insd, M::Out, M::Outsb, M::Outsw, M::Outsd]),
    (Hazard::Halt, &[M::Hlt, M::Cli, M::Sti]),
    (Hazard::ControlRegister, &[M::Clts, M::Lmsw]),
    (Hazard::DescriptorLoad, &[M::Lgdt, M::Lidt, M::Lldt, M::Ltr]),
    (Hazard::DescriptorStore, &[M::Sgdt, M::Sidt, M::Sldt, M::Str, M::Smsw]),
    (Hazard::Msr, &[
        M::Rdmsr, M::Wrmsr, M::Rdmsrlist, M::Wrmsrlist, M::Wrmsrns, M::Rdpmc, M::Rdpru, M::Xsetbv, M::Swapgs, M::Lkgs, M::Hreset,
    ]),
    (Hazard::Cache, &[M::Invd, M::Wbinvd, M::Wbnoinvd, M::Invlpg, M::Invlpga, M::Invlpgb, M::Invpcid, M::Tlbsync]),
    (Hazard::KernelReturn, &[
        M::Iret, M::Iretd, M::Iretq, M::Sysret, M::Sysretq, M::Sysexit, M::Sysexitq, M::Eretu, M::Erets, M::Rsm,
    ]),
    (Hazard::FarTransfer, &[M::Retf]),
    (Hazard::SegmentLoad, &[M::Lds, M::Les, M::Lfs, M::Lgs, M::Lss]),
    (Hazard::SegmentBase, &[M::Wrfsbase, M::Wrgsbase]),
    (Hazard::ProtectionKey, &[M::Rdpkru, M::Wrpkru]),
    (Hazard::ExtendedState, &[M::Xrstor, M::Xrstor64, M::Xrstors, M::Xrstors64, M::Xsaves, M::Xsaves64]),
    (Hazard::Virtualisation, &[
        M::Vmxon, M::Vmxoff, M::Vmlaunch, M::Vmresume, M::Vmread, M::Vmwrite, M::Vmptrld, M::Vmptrst, M::Vmclear, M::Vmfunc,
        M::Vmrun, M::Vmload, M::Vmsave, M::Stgi, M::Clgi, M::Skinit, M::Invept, M::Invvpid,
    ]),
    (Hazard::TrustedExecution, &[
        M::Encls, M::Enclu, M::Enclv, M::Getsec, M::Getsecq, M::Seamcall, M::Seamops, M::Seamret, M::Tdcall, M::Pconfig,
        M::Psmash, M::Pvalidate, M::Rmpadjust, M::Rmpquery, M::Rmpupdate, M::Pbndkb, M::Loadiwkey, M::Enqcmd, M::Enqcmds,
    ]),
    (Hazard::Waiting, &[M::Monitor, M::Mwait, M::Monitorx, M::Mwaitx, M::Umonitor, M::Umwait, M::Tpause]),
    (Hazard::UserInterrupt, &[M::Clui, M::Stui, M::Testui, M::Senduipi, M::Uiret]),
    (Hazard::ShadowStack, &[
        M::Wrssd, M::Wrssq, M::Wrussd, M::Wrussq, M::Setssbsy, M::Clrssbsy, M::Rstorssp, M::Saveprevssp, M::Incsspd, M::Incsspq,
        M::Stac, M::Clac,
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
            for mnemonic in *mnemonics {
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
    matches!(code.mnemonic(), M::Rdtsc | M::Rdtscp | M::Cpuid | M::Rdpid)
}

/// An instruction's name as assemblers write it.
pub(super) fn name(mnemonic: Mnemonic) -> String {
    format!("{mnemonic:?}").to_ascii_lowercase()
}
