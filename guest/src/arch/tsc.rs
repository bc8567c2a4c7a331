//! The time-stamp counter.
#![expect(unsafe_code, reason = "RDTSC is an instruction")]

/// Reads the TSC.
pub(crate) fn tsc() -> u64 {
    // SAFETY: RDTSC reads a counter. CR4.TSD is clear by contract, so it does not fault.
    unsafe { x86::time::rdtsc() }
}
