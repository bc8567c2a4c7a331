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
}

impl Gate {
    /// `vmcall`, which leaves the gate page as it is in the image: KVM on VMX with the Xen hypercall intercept. The trap arrives with
    /// RIP at the instruction; the next entry advances it.
    pub const VMCALL: Self = Self { name: "vmcall", trap: &[0x0f, 0x01, 0xc1], rip_offset: 0, port: None };

    /// `vmmcall`: KVM on SVM with the Xen hypercall intercept. RIP as for [`Gate::VMCALL`].
    pub const VMMCALL: Self = Self { name: "vmmcall", trap: &[0x0f, 0x01, 0xd9], rip_offset: 0, port: None };

    /// `out GATE_PORT, al`, allowed by the TSS I/O bitmap: any KVM without a hypercall intercept.
    pub const PORT: Self =
        Self { name: "port", trap: &[0xe6, GATE_PORT], rip_offset: 2, port: Some(GATE_PORT) };

    /// The gate page of a running guest: the trap, `ret`, padding.
    #[must_use]
    pub fn page(&self) -> [u8; GATE_BYTES] {
        let mut page = [GATE_PADDING; GATE_BYTES];
        page[..self.trap.len()].copy_from_slice(self.trap);
        page[self.trap.len()] = 0xc3;
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
