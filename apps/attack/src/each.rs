//! One instruction with many parameters in one machine. Only the attack suite's own harness can run this: to it, two call numbers
//! that the contract does not have mean "give me a parameter" and "this was the result".
//!
//! The first call returns once per parameter: when the instruction faults, the harness puts the registers back to what they were
//! at that call and lets it return again. So nothing may lie on the stack that the first return has used up.

use core::arch::naked_asm;

use guest::println;

use crate::gate::ringwall_gate;

/// Asks for a parameter. `hvcall` has ten calls; `tests/attacks/src/each.rs` has the same two numbers.
const NEXT: u64 = 0x5eed_0001;
/// Reports a result.
const RESULT: u64 = 0x5eed_0002;
/// What the harness gives when there is nothing more, and, being negative, what a true monitor says.
const END: i64 = -1;

/// Executes an instruction again and again.
pub(crate) fn with_each_parameter(name: &str) -> u8 {
    let Some(execute) = crate::find(name) else {
        println!("no such instruction: {name}");
        return crate::UNKNOWN;
    };
    let last = repeat(execute);
    println!("over");
    u8::from(last != END)
}

/// Returns the last answer.
#[unsafe(naked)]
extern "C" fn repeat(_execute: extern "C" fn(u64) -> u64) -> i64 {
    naked_asm!(
        "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15", "sub rsp, 8",
        "mov rbx, rdi",
        "xor edi, edi", "xor esi, esi", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d", "xor r9d, r9d",
        "2:",
        "mov eax, {next}",
        "call {gate}",
        "test rax, rax",
        "js 3f",
        // The gate's return address stays where it is.
        "sub rsp, 64",
        "mov rdi, rax",
        "call rbx",
        "mov rdi, rax",
        "mov eax, {result}",
        "xor esi, esi",
        "call {gate}",
        "add rsp, 64",
        "xor edi, edi",
        "jmp 2b",
        "3:",
        "add rsp, 8", "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
        "ret",
        gate = sym ringwall_gate,
        next = const NEXT,
        result = const RESULT,
    )
}
