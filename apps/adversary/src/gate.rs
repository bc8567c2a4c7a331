//! The gate page of the guest library, called with any registers.
#![expect(unsafe_code, reason = "names the gate, which only assembly can call")]

use core::arch::naked_asm;

unsafe extern "C" {
    /// The page's first instruction.
    fn ringwall_gate();
}

/// Makes a call: RAX, RDI, RSI, RDX, R10, R8, R9. Gives RAX.
#[unsafe(naked)]
pub(crate) extern "C" fn call(_registers: &[u64; 7]) -> i64 {
    naked_asm!(
        "mov rax, [rdi]",
        "mov rsi, [rdi + 16]",
        "mov rdx, [rdi + 24]",
        "mov r10, [rdi + 32]",
        "mov r8, [rdi + 40]",
        "mov r9, [rdi + 48]",
        "mov rdi, [rdi + 8]",
        "sub rsp, 8",
        "call {gate}",
        "add rsp, 8",
        "ret",
        gate = sym ringwall_gate,
    )
}
