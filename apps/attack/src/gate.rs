//! The gate page of the guest library, by its symbol.
#![expect(unsafe_code, reason = "names the gate, which only assembly can call")]

unsafe extern "C" {
    /// The page's first instruction.
    pub(crate) fn ringwall_gate();
}

/// Its address.
pub(crate) fn address() -> u64 {
    ringwall_gate as unsafe extern "C" fn() as usize as u64
}
