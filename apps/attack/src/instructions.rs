//! The instructions.
//!
//! Each runs in a frame of its own with RAX, RCX and RDX 0, RSI the parameter, 0 unless one is given, and RDI at 2 KiB of scratch
//! memory, aligned as the strictest of them want it. What it leaves in RAX is its result.

use core::arch::naked_asm;

use crate::gate::ringwall_gate;

/// An instruction, and how to execute it with a parameter.
pub(crate) type Attack = (&'static str, extern "C" fn(u64) -> u64);

macro_rules! instructions {
    ($($name:literal: $($line:literal),+;)+) => {
        /// All of them, by name.
        pub(crate) const ALL: &[Attack] = &[$(($name, {
            /// Saves what C keeps, sets up the frame, executes, restores.
            #[unsafe(naked)]
            extern "C" fn execute(_parameter: u64) -> u64 {
                naked_asm!(
                    "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                    "mov rsi, rdi", "mov rbp, rsp", "sub rsp, 4096", "and rsp, -64", "lea rdi, [rsp + 1024]",
                    "xor eax, eax", "xor ecx, ecx", "xor edx, edx",
                    "mov [rdi], rax", "mov [rdi + 8], rax", "mov [rdi + 16], rax", "mov [rdi + 24], rax",
                    $($line),+,
                    "mov rsp, rbp", "cld",
                    "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                    "ret",
                    "/* {gate} */",
                    gate = sym ringwall_gate,
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
    // What each selector tells, folded into one number.
    "selectors-fold": "xor r8d, r8d", "2:", "xor ebx, ebx", "lar ebx, eax", "setz cl", "imul r8, r8, 31", "add r8, rbx", "add r8, rcx",
        "xor ebx, ebx", "lsl ebx, eax", "setz cl", "imul r8, r8, 31", "add r8, rbx", "add r8, rcx", "inc eax", "cmp eax, 0x10000", "jb 2b",
        "mov rax, r8";
    // Linux keeps the number of the CPU in the limit of this segment.
    "lsl-0x7b": "mov ebx, 0x7b", "lsl eax, ebx";
    "load-selector-ds": "mov ds, esi";
    "load-selector-es": "mov es, esi";
    "load-selector-fs": "mov fs, esi";
    "load-selector-gs": "mov gs, esi";
    "load-selector-ss": "mov ss, esi";
    "far-return-selector": "push rsi", "lea rax, [rip + 3f]", "push rax", "retfq", "3:", "mov eax, cs";
    // The offset is one of 32 bits, where nothing is mapped: whoever gets past the selector faults there.
    "far-jump-selector": "mov dword ptr [rdi], 0x1000", "mov [rdi + 4], esi", ".byte 0xff, 0x2f";
    "far-call-selector": "mov dword ptr [rdi], 0x1000", "mov [rdi + 4], esi", "lcall [rdi]";
    "iretq-selector": "mov eax, ss", "push rax", "lea rax, [rsp + 8]", "push rax", "pushfq", "push rsi", "lea rax, [rip + 3f]", "push rax",
        "iretq", "3:", "mov eax, cs";
    "iretq-stack-selector": "push rsi", "lea rax, [rsp + 8]", "push rax", "pushfq", "mov eax, cs", "push rax", "lea rax, [rip + 3f]",
        "push rax", "iretq", "3:", "mov eax, ss";
    "iretq-flags": "mov eax, ss", "push rax", "lea rax, [rsp + 8]", "push rax", "pushfq", "xor qword ptr [rsp], 0x1a3000", "mov eax, cs",
        "push rax", "lea rax, [rip + 3f]", "push rax", "iretq", "3:", "pushfq", "pop rax", "and eax, 0x1a3200";
    "far-return-own": "mov eax, cs", "push rax", "lea rax, [rip + 3f]", "push rax", "retfq", "3:", "mov eax, cs";
    "far-return-compatibility": "push 0x23", "mov eax, 0x1000", "push rax", "retfq";
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
    "rdmsr": "mov ecx, esi", "rdmsr";
    // The value is 0, so that an index that were let through would show.
    "wrmsr": "mov ecx, esi", "wrmsr";
    "rdtsc": "rdtsc";
    "rdtscp": "rdtscp";
    "rdtscp-aux": "rdtscp", "mov eax, ecx";
    "rdpid": "rdpid rax";
    "cpuid-leaf": "mov rax, rsi", "mov ecx, 0", "cpuid";
    "xgetbv": "xgetbv";
    "rdrand": "rdrand rax";
    "rdseed": "rdseed rax";
    "rdfsbase": "rdfsbase rax";
    "rdgsbase": "rdgsbase rax";
    "wrfsbase": "rdfsbase rbx", "mov eax, 0x5000", "wrfsbase rax", "rdfsbase rax", "wrfsbase rbx";
    "wrgsbase": "rdgsbase rbx", "mov eax, 0x5000", "wrgsbase rax", "rdgsbase rax", "wrgsbase rbx";
    "wrfsbase-kernel": "rdfsbase rbx", "mov rax, 0xffffffff81000000", "wrfsbase rax", "mov rax, fs:[0]", "wrfsbase rbx";
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
    "monitorx": "mov rax, rdi", "monitorx";
    "mwaitx": "mov rax, rdi", "monitorx", "xor eax, eax", "xor ecx, ecx", "mwaitx";
    "umonitor": "umonitor rdi";
    "umwait": "umwait ecx";
    "tpause": "tpause ecx";
    "pause": "pause";
    // Ports, all of them by the parameter.
    "in-8": "mov edx, esi", "in al, dx";
    "in-16": "mov edx, esi", "in ax, dx";
    "in-32": "mov edx, esi", "in eax, dx";
    "out-8": "mov edx, esi", "out dx, al";
    "out-16": "mov edx, esi", "out dx, ax";
    "out-32": "mov edx, esi", "out dx, eax";
    "outs-8": "mov edx, esi", "mov rsi, rdi", "outsb";
    "ins-8": "mov edx, esi", "insb";
    "rep-ins-32": "mov edx, esi", "mov ecx, 4", "rep insd";
    "rep-outs-32": "mov edx, esi", "mov rsi, rdi", "mov ecx, 4", "rep outsd";
    // The gate's own number of bytes, but into text: it would be a store of the host's.
    "insb-0x7e-to-text": "lea rdi, [rip]", "mov edx, 0x7e", "insb";
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
    "vmmcall-loop": "2:", "xor eax, eax", "vmmcall", "jmp 2b";
    "rdtsc-loop": "2:", "rdtsc", "jmp 2b";
    "loop": "2:", "jmp 2b";
    "hypercall-kvm-clock-pairing": "mov eax, 9", "mov rbx, rdi", "vmmcall";
    "hypercall-kvm-kick": "mov eax, 5", "vmmcall";
    "hypercall-kvm-map-gpa": "mov eax, 12", "vmmcall";
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
    // The stack pointer is the whole state that a kernel's entry would trust.
    "syscall-bad-stack": "mov rsp, 0x1000", "syscall";
    "syscall-single-step": "pushfq", "or qword ptr [rsp], 0x100", "popfq", "syscall";
    "syscall-0": "xor eax, eax", "syscall";
    "syscall-exit": "mov eax, 60", "xor edi, edi", "syscall";
    "syscall-335": "mov eax, 335", "syscall";
    "syscall-336": "mov eax, 336", "syscall";
    "syscall-x32": "mov eax, 0x40000027", "syscall";
    "syscall-huge": "mov eax, -1", "syscall";
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
    "popf-resume": "pushfq", "or qword ptr [rsp], 0x10000", "popfq", "nop";
    "popf-nested": "pushfq", "or qword ptr [rsp], 0x4000", "popfq", "pushfq", "pop rax", "and eax, 0x4000", "push 0x202", "popfq";
    "popf-align": "pushfq", "or qword ptr [rsp], 0x40000", "popfq", "mov rax, [rdi + 1]", "push 0x202", "popfq";
    "step-into-gate-call": "pushfq", "or qword ptr [rsp], 0x100", "popfq", "mov eax, 7", "xor edi, edi", "xor esi, esi", "call {gate}";
    "gate-direction": "std", "mov eax, 7", "xor edi, edi", "xor esi, esi", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d", "xor r9d, r9d",
        "call {gate}", "pushfq", "pop rbx", "cld", "shr rbx, 10", "and ebx, 1", "sar rax, 63", "add rax, rbx";
    "gate-align": "xor edi, edi", "xor esi, esi", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d", "xor r9d, r9d", "pushfq",
        "or qword ptr [rsp], 0x40000", "popfq", "mov eax, 7", "call {gate}", "push 0x202", "popfq", "sar rax, 63";
    "gate-all-flags": "mov eax, 7", "xor edi, edi", "xor esi, esi", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d", "xor r9d, r9d",
        "push 0x240ed7", "popfq", "call {gate}", "push 0x202", "popfq", "sar rax, 63";
    "gate-unmapped-stack": "lea rbx, [rip + 3f]", "lea rcx, [rip + {gate}]", "mov eax, 7", "xor edi, edi", "xor esi, esi", "mov rsp, 0x1000", "jmp rcx",
        "3:";
    "gate-stack-at-null": "lea rcx, [rip + {gate}]", "mov eax, 7", "xor edi, edi", "xor esi, esi", "xor edx, edx", "xor esp, esp", "jmp rcx";
    "gate-second-byte": "lea rcx, [rip + {gate}]", "inc rcx", "mov eax, 7", "xor edi, edi", "call rcx";
    "gate-third-byte": "lea rcx, [rip + {gate}]", "add rcx, 2", "mov eax, 7", "xor edi, edi", "call rcx";
    "gate-page-second-trap": "lea rcx, [rip + {gate}]", "add rcx, 0x40", "mov eax, 7", "xor edi, edi", "call rcx";
    "gate-page-start": "lea rcx, [rip + {gate}]", "add rcx, 0x80", "mov eax, 7", "xor edi, edi", "call rcx";
    "gate-page-last-byte": "lea rcx, [rip + {gate}]", "add rcx, 0xfff", "mov eax, 7", "xor edi, edi", "call rcx";
    "gate-page-before": "lea rcx, [rip + {gate}]", "dec rcx", "mov al, [rcx]", "mov byte ptr [rcx], al";
    "gate-page-write": "lea rcx, [rip + {gate}]", "mov byte ptr [rcx], 0x90";
    "gate-prefix-write": "lea rcx, [rip + {gate}]", "lock or byte ptr [rcx], 0";
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
    "wruss": ".byte 0x66, 0x0f, 0x38, 0xf5, 0x07";
    "hreset": ".byte 0xf3, 0x0f, 0x3a, 0xf0, 0xc0, 0";
    "enqcmd": ".byte 0xf2, 0x0f, 0x38, 0xf8, 0x07";
    "enqcmds": ".byte 0xf3, 0x0f, 0x38, 0xf8, 0x07";
    "xbegin": ".byte 0xc7, 0xf8, 0, 0, 0, 0";
    "ptwrite": "ptwrite eax";
    "clui": ".byte 0xf3, 0x0f, 0x01, 0xee";
    "rdsspq": "rdsspq rax";
    "incsspq": "incsspq rax";
    "setssbsy": ".byte 0xf3, 0x0f, 0x01, 0xe8";
    "clrssbsy": ".byte 0xf3, 0x0f, 0xae, 0x37";
    "saveprevssp": ".byte 0xf3, 0x0f, 0x01, 0xea";
    "endbr": "endbr64";
    "lwp": ".byte 0x8f, 0xe9, 0x78, 0x12, 0xc0";
    "invlpgd": ".byte 0x0f, 0x01, 0xdf";
    "psmash": ".byte 0xf3, 0x0f, 0x01, 0xff";
    "pvalidate": ".byte 0xf2, 0x0f, 0x01, 0xff";
    "rmpadjust": ".byte 0xf3, 0x0f, 0x01, 0xfe";
    "loadall": ".byte 0x0f, 0x07";
    "jmpe": ".byte 0x0f, 0xb8, 0, 0, 0, 0";
    "bound": ".byte 0x62";
    "les": ".byte 0xc4";
    "aam-zero": ".byte 0xd4, 0";
    "push-cs": ".byte 0x0e";
    "far-call-immediate": ".byte 0x9a, 0, 0, 0, 0, 8, 0";
    "move-to-cs": ".byte 0x8e, 0xc8";
    "control-register-1": ".byte 0x0f, 0x20, 0xc8";
    "control-register-5": ".byte 0x0f, 0x20, 0xe8";
    "control-register-15": ".byte 0x44, 0x0f, 0x20, 0xf8";
    "debug-register-4": ".byte 0x0f, 0x21, 0xe0";
    "test-register": ".byte 0x0f, 0x24, 0xc0";
    "mcommit": ".byte 0xf3, 0x0f, 0x01, 0xfa";
    // Encodings.
    "sixteen-bytes": ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90";
    "lock-nop": ".byte 0xf0, 0x90";
    "fifteen-bytes": ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90";
    "fifteen-bytes-hlt": ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xf4";
    "lock-mov": ".byte 0xf0, 0x89, 0x07";
    "vex-of-nothing": ".byte 0xc4, 0xe2, 0x79, 0xff, 0xc0";
    // Vector state: the upper halves of YMM registers, which no code of an appliance has touched.
    "upper-halves": "vpxor xmm0, xmm0, xmm0", "vextracti128 xmm0, ymm1, 1", "vextracti128 xmm1, ymm2, 1", "vpor xmm0, xmm0, xmm1",
        "vextracti128 xmm1, ymm3, 1", "vpor xmm0, xmm0, xmm1", "vextracti128 xmm1, ymm4, 1", "vpor xmm0, xmm0, xmm1",
        "vextracti128 xmm1, ymm7, 1", "vpor xmm0, xmm0, xmm1", "vextracti128 xmm1, ymm8, 1", "vpor xmm0, xmm0, xmm1",
        "vextracti128 xmm1, ymm14, 1", "vpor xmm0, xmm0, xmm1", "vextracti128 xmm1, ymm15, 1", "vpor xmm0, xmm0, xmm1",
        "vpsrldq xmm1, xmm0, 8", "vpor xmm0, xmm0, xmm1", "vmovq rax, xmm0";
    "upper-registers": "vmovdqu64 zmm0, zmm16", "vporq zmm0, zmm0, zmm17", "vporq zmm0, zmm0, zmm31", "vextracti64x4 ymm1, zmm0, 1",
        "vporq ymm0, ymm0, ymm1", "vextracti128 xmm1, ymm0, 1", "vpor xmm0, xmm0, xmm1", "vpsrldq xmm1, xmm0, 8", "vpor xmm0, xmm0, xmm1",
        "vmovq rax, xmm0", "kmovq rbx, k1", "or rax, rbx", "kmovq rbx, k7", "or rax, rbx", "vzeroupper";
    "vector-control": "stmxcsr [rdi]", "mov eax, [rdi]";
    "x87-stack": "fnstenv [rdi]", "mov eax, [rdi + 8]", "and eax, 0xffff", "xor eax, 0xffff";
    "x87-registers": "fxsave64 [rdi]", "mov rax, [rdi + 32]", "or rax, [rdi + 48]", "or rax, [rdi + 64]", "or rax, [rdi + 80]",
        "or rax, [rdi + 96]", "or rax, [rdi + 112]", "or rax, [rdi + 128]", "or rax, [rdi + 144]", "or rax, [rdi + 8]";
    // Stores of every kind, to the parameter.
    "read": "mov rax, [rsi]", "xor eax, eax";
    "scan-for-non-zero": "mov rdi, rsi", "mov ecx, 0x4000", "xor eax, eax", "repe scasq", "setne al";
    "write": "mov [rsi], rax";
    "fill": "mov rdi, rsi", "mov ecx, 0xc000", "mov rax, -1", "rep stosq", "xor eax, eax";
    // Calls of the gate, again and again or once.
    "console-flood": "mov r12, rsi", "2:", "mov eax, 1", "mov rdi, r12", "mov esi, 0x10000", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d",
        "xor r9d, r9d", "call {gate}", "jmp 2b";
    "call-storm": "xor r12d, r12d", "2:", "inc r12", "mov rax, r12", "or rax, 0x10", "xor edi, edi", "xor esi, esi", "xor edx, edx",
        "xor r10d, r10d", "xor r8d, r8d", "xor r9d, r9d", "call {gate}", "jmp 2b";
    "sleep-for-ever": "2:", "mov eax, 2", "mov rdi, -1", "xor esi, esi", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d", "xor r9d, r9d",
        "call {gate}", "jmp 2b";
    "random-word": "mov r12, rsi", "mov eax, 8", "mov rdi, r12", "mov esi, 8", "xor edx, edx", "xor r10d, r10d", "xor r8d, r8d",
        "xor r9d, r9d", "call {gate}", "mov rax, [r12]", "shr rax, 1";
    "return-to": "push rsi", "ret";
    "stack-to": "mov rsp, rsi", "push rax";
    "write-same": "lock or byte ptr [rsi], 0";
    "write-byte": "mov byte ptr [rsi], 0x90";
    "call": "call rsi";
    "store-locked": "lock inc dword ptr [rsi]";
    "store-exchange": "xchg [rsi], rax";
    "store-sse": "movups [rsi], xmm0";
    "store-non-temporal": "movntdq [rsi], xmm0";
    "store-avx": "vmovdqu [rsi], ymm0";
    "store-fxsave": "fxsave [rsi]";
    "store-xsave": "mov eax, 3", "xsave [rsi]";
    "store-x87": "fnstenv [rsi]";
    "store-cmpxchg16b": "lock cmpxchg16b [rsi]";
    "store-string": "mov rdi, rsi", "mov ecx, 4", "rep stosq";
    "store-push": "lea rsp, [rsi + 8]", "push rax";
    "store-call": "lea rsp, [rsi + 8]", "call 2f", "2:";
    "store-enter": "lea rsp, [rsi + 8]", "enter 0, 0";
    "store-straddling": "mov [rsi - 4], rax";
    "store-masked": "vpcmpeqd xmm0, xmm0, xmm0", "vpmaskmovd [rsi], xmm0, xmm1";
    "store-movdir64b": ".byte 0x66, 0x0f, 0x38, 0xf8, 0x37";
    "clflush": "clflush [rsi]";
    "clflushopt": "clflushopt [rsi]";
    "clwb": "clwb [rsi]";
    "clzero": "mov rax, rsi", ".byte 0x0f, 0x01, 0xfc";
    "cldemote": "cldemote [rsi]";
    "dirty-for-ever": "2:", "mov rdi, rsi", "mov ecx, 64", "3:", "inc qword ptr [rdi]", "add rdi, 4096", "dec ecx", "jnz 3b", "jmp 2b";
    "prefetch": "prefetcht0 [rsi]";
    "prefetch-write": "prefetchw [rsi]";
    "verify-write": "mov eax, esi", "verw ax";
    "stack-switch": "mov rsp, rsi", "mov rax, [rax]";
    "stack-switch-trap": "mov rsp, rsi", "int3";
    "return-into-stub-frame": "mov rsp, rsi", "iretq";
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
