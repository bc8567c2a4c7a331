//! The sequence that reaches the monitor on this kind of host.

use hvcall::Gva;
use hvcall::gate::{GATE_BYTES, GATE_PADDING};

/// The one I/O port that the TSS bitmap opens. The number has no meaning; nothing emulated listens there.
pub const GATE_PORT: u8 = 0x10;

/// A way to trap from CPL 3 into the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// The trapping instruction.
    pub trap: &'static [u8],
    /// Where RIP is when the trap arrives: bytes past the start of the instruction.
    pub rip_offset: u64,
}

impl Gate {
    /// `out GATE_PORT, al`, allowed by the TSS I/O bitmap: any KVM without a hypercall intercept. kvm-pvm emulates the
    /// instruction and reports RIP past it.
    pub const PORT: Self = Self { name: "port", trap: &[0xe6, GATE_PORT], rip_offset: 2 };

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
    fn the_page_is_the_trap_a_return_and_padding() {
        let page = Gate::PORT.page();
        assert_eq!(page[..4], [0xe6, GATE_PORT, 0xc3, 0xcc]);
        assert!(page[3..].iter().all(|&byte| byte == 0xcc));
    }
}
