//! Fault stubs: where the IDT's gates lead, at CPL 3.
//!
//! One slot per vector. A stub is nothing but the trap: which vector it was follows from where the trap happened, so a stub
//! changes no register and needs no stack of its own. Nothing returns to a stub; the bytes behind the trap are never reached.

use hvcall::Gva;

use super::gate::Gate;
use crate::address::PAGE_BYTES;

/// Vectors of processor exceptions (SDM Vol. 3A, section 6.3.1, "Table 6-1"). The IDT ends there.
pub const VECTORS: u8 = 32;
/// Bytes from one stub to the next.
const STUB_BYTES: u64 = 16;

/// The stub page; without stubs for a process, whose handlers are in its gate page.
#[must_use]
pub fn page(gate: &Gate) -> Vec<u8> {
    let mut page = vec![0xcc; crate::address::index(PAGE_BYTES)];
    let vectors = if gate.process { 0 } else { VECTORS };
    for stub in page.chunks_exact_mut(crate::address::index(STUB_BYTES)).take(usize::from(vectors)) {
        stub[..gate.trap.len()].copy_from_slice(gate.trap);
    }
    page
}

/// Address of a vector's stub in the page at `base`.
#[must_use]
pub const fn address(base: Gva, vector: u8) -> Gva {
    Gva(base.0 + vector as u64 * STUB_BYTES)
}

/// The vector whose stub is at `site`, if one is.
#[must_use]
pub fn vector_at(base: Gva, site: Gva) -> Option<u8> {
    (0..VECTORS).find(|&vector| address(base, vector) == site)
}

/// Whether the CPU pushes an error code for `vector` (SDM Vol. 3A, table 6-1; APM Vol. 2, table 8-1).
#[must_use]
pub const fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// Name of an exception.
#[must_use]
pub const fn name(vector: u8) -> &'static str {
    match vector {
        0 => "division error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid instruction",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualization exception",
        21 => "control protection exception",
        _ => "reserved exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_is_found_at_its_stub_and_nowhere_else() {
        let base = Gva(0x7000_0000_1000);
        let page = page(&Gate::PORT);
        for vector in 0..VECTORS {
            let site = address(base, vector);
            let at = usize::try_from(site.0 - base.0).unwrap();
            assert_eq!(page[at..at + 2], *Gate::PORT.trap);
            assert_eq!(vector_at(base, site), Some(vector));
            assert_eq!(vector_at(base, Gva(site.0 + 1)), None);
        }
        assert_eq!(vector_at(base, address(base, VECTORS)), None);
    }
}
