//! What each hazard would do if it ran.
//!
//! The fates are those that the tests see: under KVM with stock and software hosts (`tests/tests/system/instructions.rs`), and in
//! a sandboxed process. They are what makes bytes that only look like such an instruction harmless.

use serde::Serialize;

use super::hazard::Hazard;

/// What becomes of a hazard that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Under KVM.
    pub kvm: &'static str,
    /// In a sandboxed process.
    pub process: &'static str,
}

const FAULT: &str = "general protection or invalid instruction: guest fault (81)";

impl Hazard {
    /// What becomes of it. `None` where nobody has looked.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub const fn fate(self) -> Option<Fate> {
        let (kvm, process) = match self {
            Self::Vmcall => (
                "kvm-intel: a trap from another address than the gate's, contract violation (83); other hosts: guest fault (81)",
                "guest fault (81), or -1 in RAX and no effect where the host itself is virtual",
            ),
            Self::Vmmcall => (
                "kvm-amd: contract violation (83); kvm-intel: guest fault (81); kvm-pvm: -1 in RAX and no effect",
                "guest fault (81), or -1 in RAX and no effect where the host itself is virtual",
            ),
            Self::Syscall => (
                "EFER.SCE is 0: guest fault (81); kvm-pvm jumps to LSTAR, an unmapped page: guest fault (81)",
                "the filter knows the gate's address only: the process is killed, or the kernel refuses the number",
            ),
            Self::Sysenter => (
                "its registers are 0: guest fault (81)",
                "guest fault (81), or killed by the filter as a 32-bit call",
            ),
            Self::SoftwareInterrupt => (
                "gates have DPL 0, but for the breakpoint's and the overflow's: guest fault (81) in every case",
                "guest fault (81); `int 0x80` is killed by the filter as a 32-bit call",
            ),
            Self::PortIo => (
                "the bitmap opens no port, or the port gate's alone: guest fault (81), and an access to that port from another address than the gate's is a contract violation (83) or a foreign exit (81)",
                "guest fault (81)",
            ),
            Self::Other => return None,
            Self::Halt | Self::ControlRegister | Self::DescriptorLoad | Self::Msr | Self::Cache => {
                (FAULT, "guest fault (81)")
            }
            Self::DescriptorStore => (
                "CR4.UMIP is set: guest fault (81); without UMIP it reads an address of the guest's own descriptor page",
                "the kernel answers with constants, or guest fault (81)",
            ),
            Self::KernelReturn => (
                "no descriptor of another privilege to return to: guest fault (81), or a jump within ring 3",
                "guest fault (81), or a jump within ring 3",
            ),
            Self::FarTransfer | Self::SegmentLoad => (
                "the only other descriptors are data and, on kvm-pvm, the host's of ring 3: guest fault (81), or ring 3 as before",
                "guest fault (81), or ring 3 as before; 32-bit code finds nothing mapped below 4 GiB",
            ),
            Self::SegmentBase => {
                ("changes a base that the guest alone uses", "changes a base that the guest alone uses")
            }
            Self::ProtectionKey => (
                "CR4.PKE is 0: guest fault (81)",
                "takes rights from the guest itself; no wall rests on keys, and the monitor has mappings of its own",
            ),
            Self::ExtendedState => (
                "the guest's own registers, or guest fault (81)",
                "the guest's own registers and key rights, or guest fault (81)",
            ),
            Self::Virtualisation | Self::TrustedExecution => (FAULT, "guest fault (81)"),
            Self::Waiting => (
                "guest fault (81), or a pause that signals and the time limit end",
                "guest fault (81), or a pause that signals and the time limit end",
            ),
            Self::UserInterrupt | Self::ShadowStack => (
                "guest fault (81), or no effect: no machine turns them on",
                "guest fault (81), or no effect: nothing turns them on",
            ),
        };
        Some(Fate { kvm, process })
    }
}
