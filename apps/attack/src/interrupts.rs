//! `int n` for every n.

use core::arch::naked_asm;

/// Executes `int` with the parameter's low byte.
#[unsafe(naked)]
pub(crate) extern "C" fn execute(_vector: u64) -> u64 {
    naked_asm!(
        "movzx edi, dil",
        "lea rax, [rip + 2f]",
        "lea rax, [rax + rdi * 4]",
        "jmp rax",
        ".balign 4",
        "2:",
        ".set ringwall_vector, 0",
        ".rept 256",
        ".byte 0xcd, ringwall_vector, 0xc3, 0xcc",
        ".set ringwall_vector, ringwall_vector + 1",
        ".endr",
    )
}
