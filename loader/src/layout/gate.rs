//! The sequence that reaches the monitor on this kind of host.

use hvcall::Gva;
use hvcall::gate::{GATE_BYTES, GATE_PADDING};

/// The one I/O port that the TSS bitmap opens for the port gate. Nothing emulated listens there. It is this one because of what KVM
/// promises about it alone: RIP is already past the `out` when the exit arrives (KVM_X86_QUIRK_OUT_7E_INC_RIP in
/// Documentation/virt/kvm/api.rst, section 7.28), as on kvm-pvm for every port.
pub const GATE_PORT: u8 = 0x7e;

/// A way to trap from CPL 3 into the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// The trapping instruction.
    pub trap: &'static [u8],
    /// Where RIP is when the trap arrives: bytes past the start of the instruction.
    pub rip_offset: u64,
    /// The I/O port that it needs, which the TSS bitmap then opens. All others are closed.
    pub port: Option<u8>,
    /// Whether the page holds more than the gate: see [`SECOND_TRAP`] and [`START`].
    pub process: bool,
}

/// Offset in the gate page of a process: where its signal handlers are, a trap of its own.
pub const SECOND_TRAP: usize = 0x40;
/// Offset in the gate page of a process: what takes the guest's first registers from its stack (RFLAGS, RDI, RIP) and clears
/// those that the last system call before left in use. Then the state is the contract's, and this code has nothing more to give.
pub const START: usize = 0x80;

/// The result of a call, which no call has, at which the gate of a process faults.
pub const GATE_FAULT: i64 = -4095;

/// `syscall` (SDM Vol. 2B).
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// After the gate's `syscall`: `lea rcx, [rax - GATE_FAULT]; jrcxz 1f; ret; 1:`, and the padding,
/// which is breakpoints. It changes RCX and no flag.
const AFTER: [u8; 10] = [0x48, 0x8d, 0x88, 0xff, 0x0f, 0, 0, 0xe3, 1, 0xc3];
static_assertions::const_assert_eq!(
    GATE_FAULT + i32::from_le_bytes([AFTER[3], AFTER[4], AFTER[5], AFTER[6]]) as i64,
    0
);
/// `mov esi, 0; mov ecx, 0; mov r11d, 0; popfq; pop rdi; ret`: none but POPFQ changes a flag.
const START_CODE: [u8; 19] = [0xbe, 0, 0, 0, 0, 0xb9, 0, 0, 0, 0, 0x41, 0xbb, 0, 0, 0, 0, 0x9d, 0x5f, 0xc3];

impl Gate {
    /// `vmcall`, which leaves the gate page as it is in the image: KVM on VMX with the Xen hypercall intercept. The trap arrives with
    /// RIP at the instruction; the next entry advances it.
    pub const VMCALL: Self =
        Self { name: "vmcall", trap: &[0x0f, 0x01, 0xc1], rip_offset: 0, port: None, process: false };

    /// `vmmcall`: KVM on SVM with the Xen hypercall intercept. RIP as for [`Gate::VMCALL`].
    pub const VMMCALL: Self =
        Self { name: "vmmcall", trap: &[0x0f, 0x01, 0xd9], rip_offset: 0, port: None, process: false };

    /// `out GATE_PORT, al`, allowed by the TSS I/O bitmap: any KVM without a hypercall intercept.
    pub const PORT: Self =
        Self { name: "port", trap: &[0xe6, GATE_PORT], rip_offset: 2, port: Some(GATE_PORT), process: false };

    /// `syscall`: a sandboxed process, whose filter turns this one into a notification to the monitor.
    ///
    /// Before it, two numbers that the contract does not have become a third, because Linux keeps them for itself: 335 (`uretprobe`)
    /// and 336 (`uprobe`) reach no filter. All of it changes RCX and no flag:
    /// `lea ecx, [rax - 335]; jecxz 1f; lea ecx, [rcx - 1]; jecxz 1f; jmp 2f; 1: mov eax, 256; 2: syscall`.
    pub const SYSCALL: Self = Self {
        name: "syscall",
        trap: &[
            0x8d, 0x88, 0xb1, 0xfe, 0xff, 0xff, 0x67, 0xe3, 8, 0x8d, 0x49, 0xff, 0x67, 0xe3, 2, 0xeb, 5,
            0xb8, 0, 1, 0, 0, SYSCALL[0], SYSCALL[1],
        ],
        rip_offset: 24,
        port: None,
        process: true,
    };

    /// The gate page of a running guest: the trap, `ret`, padding.
    #[must_use]
    pub fn page(&self) -> [u8; GATE_BYTES] {
        let mut page = [GATE_PADDING; GATE_BYTES];
        page[..self.trap.len()].copy_from_slice(self.trap);
        page[self.trap.len()] = 0xc3;
        if self.process {
            page[self.trap.len()..][..AFTER.len()].copy_from_slice(&AFTER);
            page[SECOND_TRAP..][..SYSCALL.len()].copy_from_slice(&SYSCALL);
            page[START..][..START_CODE.len()].copy_from_slice(&START_CODE);
        }
        page
    }

    /// Address of the instruction whose trap arrived with this RIP.
    #[must_use]
    pub const fn site(&self, rip: u64) -> Gva {
        Gva(rip.wrapping_sub(self.rip_offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmcall_leaves_the_page_of_the_image_unchanged() {
        assert_eq!(Gate::VMCALL.page(), hvcall::gate::page());
        assert_ne!(Gate::VMMCALL.page(), hvcall::gate::page());
    }

    #[test]
    fn the_page_is_the_trap_a_return_and_padding() {
        let page = Gate::PORT.page();
        assert_eq!(page[..4], [0xe6, GATE_PORT, 0xc3, 0xcc]);
        assert!(page[3..].iter().all(|&byte| byte == 0xcc));
    }
}
