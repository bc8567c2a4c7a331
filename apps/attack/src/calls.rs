//! One call with registers of the attacker's choice, at the gate.

use core::arch::naked_asm;

use guest::println;

use crate::gate::ringwall_gate;
use crate::places::address;

/// Makes the call `gate NUMBER [ARGUMENT]...`, whose arguments are numbers or places, and says what RAX holds afterwards.
pub(crate) fn call<'a>(words: impl Iterator<Item = &'a str>) -> u8 {
    let mut registers = [0; 7];
    for (register, word) in registers.iter_mut().zip(words) {
        let Some(value) = address(word) else {
            println!("no such place: {word}");
            return crate::UNKNOWN;
        };
        *register = value;
    }
    let result = raw(&registers);
    println!();
    println!("completed {result:#x}");
    0
}

/// RAX, RDI, RSI, RDX, R10, R8, R9, and what RAX is then.
#[unsafe(naked)]
extern "C" fn raw(_registers: &[u64; 7]) -> u64 {
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
