//! Instructions at the entry point: what is spoiled is also executed, first of all.

use super::Ending::Ends;
use super::{Spoiled, hello};

/// Name, bytes, and what the audit calls it.
type Instruction = (&'static str, &'static [u8], &'static str);

/// After each comes `ud2`, so what the machine lets pass ends in a fault. RDI is the boot information's address, the other general
/// registers are 0.
const INSTRUCTIONS: &[Instruction] = &[
    ("syscall", b"\x0f\x05", "syscall at"),
    ("syscall with a prefix", b"\x48\x0f\x05", "syscall at"),
    ("sysenter", b"\x0f\x34", "sysenter at"),
    ("int 0x80", b"\xcd\x80", "int at"),
    ("int 0", b"\xcd\x00", "int at"),
    ("int 3 in two bytes", b"\xcd\x03", "int at"),
    ("int1", b"\xf1", "int1 at"),
    ("hlt", b"\xf4", "hlt at"),
    ("cli", b"\xfa", "cli at"),
    ("sti", b"\xfb", "sti at"),
    ("in al, 0x60", b"\xe4\x60", "in at"),
    ("out 0x80, al", b"\xe6\x80", "out at"),
    ("out of the port gate", b"\xe6\x7e", "out at"),
    ("out dx, al", b"\xee", "out at"),
    ("outsb", b"\x6e", "outsb at"),
    ("insb", b"\x6c", "insb at"),
    ("rdmsr", b"\x0f\x32", "rdmsr at"),
    ("wrmsr", b"\x0f\x30", "wrmsr at"),
    ("rdpmc", b"\x0f\x33", "rdpmc at"),
    ("mov cr0, rax", b"\x0f\x22\xc0", "mov at"),
    ("mov rax, cr3", b"\x0f\x20\xd8", "mov at"),
    ("mov rax, cr8", b"\x44\x0f\x20\xc0", "mov at"),
    ("mov dr7, rax", b"\x0f\x23\xf8", "mov at"),
    ("clts", b"\x0f\x06", "clts at"),
    ("lmsw", b"\x0f\x01\xf0", "lmsw at"),
    ("lgdt", b"\x0f\x01\x17", "lgdt at"),
    ("lidt", b"\x0f\x01\x1f", "lidt at"),
    ("lldt", b"\x0f\x00\xd0", "lldt at"),
    ("ltr", b"\x0f\x00\xd8", "ltr at"),
    ("sgdt", b"\x0f\x01\x44\x24\xf0", "sgdt at"),
    ("sidt", b"\x0f\x01\x4c\x24\xf0", "sidt at"),
    ("smsw", b"\x0f\x01\xe0", "smsw at"),
    ("invlpg", b"\x0f\x01\x3f", "invlpg at"),
    ("wbinvd", b"\x0f\x09", "wbinvd at"),
    ("swapgs", b"\x0f\x01\xf8", "swapgs at"),
    ("xsetbv", b"\x0f\x01\xd1", "xsetbv at"),
    ("wrpkru", b"\x0f\x01\xef", "wrpkru at"),
    ("rdpkru", b"\x0f\x01\xee", "rdpkru at"),
    ("xrstor", b"\x0f\xae\x6c\x24\xc0", "xrstor at"),
    ("wrfsbase", b"\xf3\x48\x0f\xae\xd0", "wrfsbase at"),
    ("iretq", b"\x48\xcf", "iretq at"),
    ("sysret", b"\x48\x0f\x07", "sysretq at"),
    ("far return", b"\xcb", "retf at"),
    ("far jump", b"\xff\x2f", "jmp at"),
    ("mov ss, eax", b"\x8e\xd0", "mov at"),
    ("mov ds, eax", b"\x8e\xd8", "mov at"),
    ("vmmcall", b"\x0f\x01\xd9", "vmmcall at"),
    ("vmxon", b"\xf3\x0f\xc7\x37", "vmxon at"),
    ("vmlaunch", b"\x0f\x01\xc2", "vmlaunch at"),
    ("vmrun", b"\x0f\x01\xd8", "vmrun at"),
    ("vmfunc", b"\x0f\x01\xd4", "vmfunc at"),
    ("monitor", b"\x0f\x01\xc8", "monitor at"),
    ("mwait", b"\x0f\x01\xc9", "mwait at"),
    ("stac", b"\x0f\x01\xcb", "stac at"),
    ("encls", b"\x0f\x01\xcf", "encls at"),
    ("getsec", b"\x0f\x37", "getsec at"),
    ("rsm", b"\x0f\xaa", "rsm at"),
];

/// What is no hazard by itself.
const OTHERS: &[(&str, &[u8], &str, &str)] = &[
    ("second vmcall", b"\x0f\x01\xc1", "trap-site", "2 instructions: vmcall at"),
    ("no instruction", b"\x06", "decoding", "no instruction"),
    ("frame beyond the guard", b"\x48\x81\xec\xff\xff\xff\x7f", "stack-clash", "2147483647 bytes"),
    ("frame without a bound", b"\x48\x29\xc4", "stack-clash", "without a bound"),
];

pub(super) fn all() -> Vec<Spoiled> {
    let hazards = INSTRUCTIONS.iter().map(|&(name, bytes, evidence)| (name, bytes, "instructions", evidence));
    let rows = hazards.chain(OTHERS.iter().copied());
    let spoiled = |(name, bytes, check, evidence): (&'static str, &[u8], _, _)| Spoiled {
        name,
        file: hello().with_code_at_entry(&[bytes, UD2.as_slice(), &NOPS].concat()),
        check,
        evidence,
        ending: Ends,
    };
    rows.map(spoiled).collect()
}

const UD2: [u8; 2] = [0x0f, 0x0b];
/// What was there before goes on somewhere in an instruction; with these in between that changes nothing.
const NOPS: [u8; 16] = [0x90; 16];
