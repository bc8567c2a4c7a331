//! The instructions.
//!
//! Each runs in a frame of its own with RAX, RCX and RDX 0 and RDI at 2 KiB of scratch memory, aligned as the strictest of them
//! want it. What it leaves in RAX is its result.

use core::arch::naked_asm;

/// An instruction, and how to execute it.
pub(crate) type Attack = (&'static str, extern "C" fn() -> u64);

macro_rules! instructions {
    ($($name:literal: $($line:literal),+;)+) => {
        /// All of them, by name.
        pub(crate) const ALL: &[Attack] = &[$(($name, {
            /// Saves what C keeps, sets up the frame, executes, restores.
            #[unsafe(naked)]
            extern "C" fn execute() -> u64 {
                naked_asm!(
                    "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                    "mov rbp, rsp", "sub rsp, 4096", "and rsp, -64", "lea rdi, [rsp + 1024]",
                    "xor eax, eax", "xor ecx, ecx", "xor edx, edx",
                    "mov [rdi], rax", "mov [rdi + 8], rax", "mov [rdi + 16], rax", "mov [rdi + 24], rax",
                    $($line),+,
                    "mov rsp, rbp", "cld",
                    "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                    "ret",
                )
            }
            execute
        })),+];
    };
}

instructions! {
    "nop": "nop";
    // Halting, interrupts, control registers.
    "hlt": "hlt";
    "cli": "cli";
    "sti": "sti";
    "read-cr0": "mov rax, cr0";
    "write-cr0": "mov cr0, rax";
    "read-cr2": "mov rax, cr2";
    "read-cr3": "mov rax, cr3";
    "write-cr3": "mov cr3, rax";
    "read-cr4": "mov rax, cr4";
    "write-cr4": "mov cr4, rax";
    "read-cr8": "mov rax, cr8";
    "write-cr8": "mov cr8, rax";
    "read-dr6": "mov rax, dr6";
    "read-dr7": "mov rax, dr7";
    "write-dr7": "mov eax, 0x401", "mov dr7, rax";
    "clts": "clts";
    "lmsw": "lmsw ax";
    // Descriptor tables.
    "smsw": "smsw eax";
    "sgdt": "sgdt [rdi]";
    "sidt": "sidt [rdi]";
    "sldt": "sldt eax";
    "str": "str eax";
    "lgdt": "lgdt [rdi]";
    "lidt": "lidt [rdi]";
    "lldt": "lldt ax";
    "ltr": "ltr ax";
    "selectors": "2:", "lar ebx, eax", "lsl ebx, eax", "verr ax", "verw ax", "inc eax", "cmp eax, 0x10000", "jb 2b";
    "code-selector": "mov eax, cs";
    "data-selector": "mov eax, ss";
    "load-ds": "mov eax, 0x10", "mov ds, eax";
    "load-ss": "mov eax, 0x18", "mov ss, eax";
    "far-jump": "mov dword ptr [rdi + 4], 8", "ljmp [rdi]";
    "far-return": "push 8", "lea rax, [rip + 3f]", "push rax", "retfq", "3:";
    "iretq": "push 0x10", "push rsp", "pushfq", "push 8", "lea rax, [rip + 3f]", "push rax", "iretq", "3:";
    // Caches and address translation.
    "invlpg": "invlpg [rdi]";
    "invd": "invd";
    "wbinvd": "wbinvd";
    "wbnoinvd": "wbnoinvd";
    "invpcid": "invpcid rax, [rdi]";
    "invlpgb": ".byte 0x0f, 0x01, 0xfe";
    "tlbsync": ".byte 0x0f, 0x01, 0xff";
    "clflush-scratch": "clflush [rdi]";
    // Model-specific registers and counters.
    "swapgs": "swapgs";
    "rdmsr-tsc": "mov ecx, 0x10", "rdmsr";
    "rdmsr-efer": "mov ecx, 0xc0000080", "rdmsr";
    "rdmsr-lstar": "mov ecx, 0xc0000082", "rdmsr";
    "rdmsr-kvm-clock": "mov ecx, 0x4b564d01", "rdmsr";
    "rdmsr-pvm": "mov ecx, 0x4b564df0", "rdmsr";
    "rdmsr-xen": "mov ecx, 0x40000000", "rdmsr";
    "wrmsr-xen": "mov ecx, 0x40000000", "wrmsr";
    "wrmsr-lstar": "mov ecx, 0xc0000082", "wrmsr";
    "wrmsr-efer": "mov ecx, 0xc0000080", "wrmsr";
    "rdtsc": "rdtsc";
    "cpuid": "cpuid";
    "cpuid-hypervisor": "mov eax, 0x40000000", "cpuid";
    "rdpmc": "rdpmc";
    "rdpru": ".byte 0x0f, 0x01, 0xfd";
    "xsetbv": "xsetbv";
    "rdpkru": "rdpkru";
    "wrpkru": "wrpkru";
    "xsaves": "xsaves [rdi]";
    "xrstors": "xrstors [rdi]";
    "wrgsbase-non-canonical": "mov rax, 0x8000000000000000", "wrgsbase rax";
    // Waiting.
    "monitor": "mov rax, rdi", "monitor";
    "mwait": "mwait";
    // Ports: 0x7e is the one that the port gate uses.
    "in-0x60": "in al, 0x60";
    "in-0x7e": "in al, 0x7e";
    "in-0xcfc": "mov edx, 0xcfc", "in eax, dx";
    "out-0x7d": "out 0x7d, al";
    "out-0x7e": "out 0x7e, al";
    "out-0x7f": "out 0x7f, al";
    "out-0x80": "out 0x80, al";
    "out-0x3f8": "mov edx, 0x3f8", "out dx, al";
    "out-0xffff": "mov edx, 0xffff", "out dx, al";
    "out-16-bits-0x7e": "mov edx, 0x7e", "out dx, ax";
    "out-32-bits-0x7c": "mov edx, 0x7c", "out dx, eax";
    "outsb-0x7e": "mov edx, 0x7e", "mov rsi, rdi", "outsb";
    "rep-outsb-0x7e": "mov edx, 0x7e", "mov rsi, rdi", "mov ecx, 4", "rep outsb";
    "insb-0x7e": "mov edx, 0x7e", "insb";
    // Virtualisation.
    "vmcall": "vmcall";
    "vmmcall": "vmmcall";
    "vmgexit": ".byte 0xf3, 0x0f, 0x01, 0xd9";
    "vmfunc": "vmfunc";
    "vmxon": "vmxon [rdi]";
    "vmxoff": "vmxoff";
    "vmread": "vmread rbx, rax";
    "vmwrite": "vmwrite rbx, rax";
    "vmlaunch": "vmlaunch";
    "vmresume": "vmresume";
    "vmptrld": "vmptrld [rdi]";
    "vmclear": "vmclear [rdi]";
    "invept": "invept rax, [rdi]";
    "invvpid": "invvpid rax, [rdi]";
    "vmrun": "vmrun";
    "vmload": "vmload";
    "vmsave": "vmsave";
    "stgi": "stgi";
    "clgi": "clgi";
    "skinit": "skinit";
    "invlpga": "invlpga";
    // System calls.
    "syscall": "syscall";
    "sysenter": "sysenter";
    "sysret": "sysretq";
    "sysexit": "sysexitq";
    // Interrupts and exceptions on purpose.
    "int3": "int3";
    "int-3": ".byte 0xcd, 3";
    "int-4": "int 4";
    "into": ".byte 0xce";
    "int1": ".byte 0xf1";
    "int-0": "int 0";
    "int-1": "int 1";
    "int-2": "int 2";
    "int-6": "int 6";
    "int-8": "int 8";
    "int-13": "int 13";
    "int-14": "int 14";
    "int-18": "int 18";
    "int-0x20": "int 0x20";
    "int-0x2e": "int 0x2e";
    "int-0x80": "int 0x80";
    "int-0xff": "int 0xff";
    "ud0": ".byte 0x0f, 0xff, 0xc0";
    "ud1": ".byte 0x0f, 0xb9, 0xc0";
    "ud2": "ud2";
    "kvm-prefix-cpuid": ".byte 0x0f, 0x0b, 0x6b, 0x76, 0x6d", "cpuid";
    "pvm-prefix-cpuid": ".byte 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff", "cpuid";
    "divide-by-zero": "div ecx";
    "divide-overflow": "mov eax, 0x80000000", "cdq", "mov ecx, -1", "idiv ecx";
    "x87-unmasked": "fninit", "mov word ptr [rdi], 0x37b", "fldcw [rdi]", "fld1", "fldz", "fdivp", "fwait";
    "sse-unmasked": "mov dword ptr [rdi], 0x1d80", "ldmxcsr [rdi]", "mov eax, 1", "cvtsi2ss xmm0, eax", "xorps xmm1, xmm1", "divss xmm0, xmm1";
    // Flags.
    "popf-privileged": "pushfq", "pop rax", "xor rax, 0x183200", "push rax", "popfq", "pushfq", "pop rax", "and eax, 0x183200";
    "popf-trap": "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop";
    "stac": "stac";
    "clac": "clac";
    // Extensions that no machine has.
    "encls": ".byte 0x0f, 0x01, 0xcf";
    "enclu": ".byte 0x0f, 0x01, 0xd7";
    "getsec": ".byte 0x0f, 0x37";
    "rsm": "rsm";
    "pconfig": ".byte 0x0f, 0x01, 0xc5";
    "seamcall": ".byte 0x66, 0x0f, 0x01, 0xcf";
    "tdcall": ".byte 0x66, 0x0f, 0x01, 0xcc";
    "senduipi": ".byte 0xf3, 0x0f, 0xc7, 0xf0";
    "uiret": ".byte 0xf3, 0x0f, 0x01, 0xec";
    "wrss": ".byte 0x0f, 0x38, 0xf6, 0x07";
    "mcommit": ".byte 0xf3, 0x0f, 0x01, 0xfa";
    // Encodings.
    "sixteen-bytes": ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90";
    "lock-nop": ".byte 0xf0, 0x90";
    // Addresses.
    "read-null": "mov rax, [rax]";
    "read-non-canonical": "mov rax, 0x8000000000000000", "mov rax, [rax]";
    "jump-non-canonical": "mov rax, 0x8000000000000000", "jmp rax";
    "push-non-canonical": "mov rsp, 0x8000000000000000", "push rax";
    "read-vsyscall": "mov rax, 0xffffffffff600000", "mov rax, [rax]";
    "call-vsyscall": "mov rax, 0xffffffffff600000", "call rax";
    "clflush-kernel": "mov rax, 0xffffffff81000000", "clflush [rax]";
    "prefetch-kernel": "mov rax, 0xffffffff81000000", "prefetcht0 [rax]";
    "read-kernel": "mov rax, 0xffffffff81000000", "mov rax, [rax]";
}
