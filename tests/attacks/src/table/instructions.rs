//! Section 1, one instruction per case: what CPL 3 may not do, and what it may.
//!
//! Where the labs' emulated processors differ from real ones, a comment says so: TCG is QEMU's, under kvm-amd; Bochs is under kvm-intel.
//! The process column is of Linux on AMD and Intel processors, in a virtual machine or not.

use crate::case::{Case, Expected, all, case};
use crate::guest;

const GP: &[&str] = &["#GP"];
const UD: &[&str] = &["#UD"];
const PF: &[&str] = &["#PF"];
/// Which of the two depends on the processor.
const GP_UD: &[&str] = &["#GP", "#UD"];
const DONE: &[&str] = &["done"];
const FOREIGN_TRAP: &[&str] = &["foreign trap"];
/// A system call from outside the gate: the process is killed.
const KILLED: &[&str] = FOREIGN_TRAP;
/// What kvm-pvm, and any KVM in a machine around a process, answers a hypercall of CPL 3: "operation not permitted".
const EPERM: &[&str] = &["gives 0xffffffffffffffff"];
/// A hypercall instruction in a process: the hypervisor around answers, or there is none.
const EPERM_OR_UD: &[&str] = &["gives 0xffffffffffffffff", "#UD", "#GP"];

#[rustfmt::skip]
const TABLE: &[(u32, &[&str], Expected)] = &[
    (0, &["nop"], all(DONE)),
    (1, &["hlt"], all(GP)),
    (2, &["cli"], all(GP)),
    (3, &["sti"], all(GP)),
    (4, &["read-cr0", "write-cr0"], all(GP)),
    (5, &["read-cr2", "read-cr3", "write-cr3"], all(GP)),
    (6, &["read-cr4", "write-cr4"], all(GP)),
    (7, &["read-cr8", "write-cr8"], all(GP)),
    (8, &["read-dr6", "read-dr7", "write-dr7", "debug-register-4"], all(GP).amd(GP_UD).intel(GP_UD)),
    (9, &["clts", "lmsw"], all(GP)),
    // On a CPU without UMIP, KVM on VMX intercepts these to the same effect, but for SMSW, which it lets read CR0 of the machine. In a
    // process Linux answers with constants of its own (arch/x86/kernel/umip.c).
    (10, &["smsw"], all(GP).process(&["gives 0x80050033", "gives 0x33"]).intel(&["#GP", "gives 0x80010033"])),
    (11, &["sgdt"], all(GP).process(&["gives 0x0"])),
    (12, &["sidt"], all(GP).process(&["gives 0x0"])),
    (13, &["sldt", "str"], all(GP).process(&["gives 0x0", "gives 0x40", "#GP"])),
    (14, &["lgdt", "lidt", "lldt", "ltr"], all(GP)),
    (15, &["selectors"], all(DONE)),
    // In a process it is the number of the CPU, which any Linux program may know.
    (16, &["lsl-0x7b"], all(&["gives 0x0"]).process(DONE)),
    (18, &["code-selector"], all(&["gives 0x33"])),
    (18, &["data-selector"], all(&["gives 0x2b"])),
    (19, &["invlpg", "invd", "wbinvd", "wbnoinvd"], all(GP)),
    (20, &["invpcid", "invlpgb", "tlbsync"], all(GP_UD)),
    (21, &["swapgs"], all(GP)),
    (22, &["rdmsr-tsc", "rdmsr-efer", "rdmsr-lstar", "rdmsr-kvm-clock", "rdmsr-pvm", "rdmsr-xen"], all(GP)),
    (22, &["wrmsr-xen", "wrmsr-lstar", "wrmsr-efer"], all(GP)),
    (23, &["rdtsc"], all(DONE)),
    (24, &["rdtscp", "rdtscp-aux"], all(&["done", "#UD"])),
    // On kvm-pvm and in a process it is the number of the host's CPU: known, and no secret that anything relies on.
    (25, &["rdpid"], all(&["done", "#UD"])),
    (26, &["rdpmc"], all(GP)),
    (27, &["rdpru"], all(GP_UD).process(&["#GP", "#UD", "done"])),
    (28, &["cpuid", "cpuid-hypervisor"], all(DONE)),
    (29, &["xgetbv"], all(&["done", "#UD"])),
    (29, &["xsetbv"], all(GP_UD)),
    // A process may use protection keys where Linux does; they protect nothing here.
    (30, &["rdpkru"], all(UD).process(&["#UD", "done"])),
    (30, &["wrpkru"], all(UD).process(&["#UD", "done"])),
    (32, &["xsaves", "xrstors"], all(GP_UD)),
    (33, &["rdfsbase", "rdgsbase"], all(&["gives 0x0", "#UD"])),
    (33, &["wrfsbase", "wrgsbase"], all(&["gives 0x5000", "#UD"])),
    (33, &["wrfsbase-kernel"], all(&["#PF", "#UD"])),
    // TCG does not check.
    (34, &["wrgsbase-non-canonical"], all(&["#GP", "#UD"]).amd(&["#GP", "done"])),
    (35, &["monitor", "mwait"], all(GP_UD)),
    (36, &["monitorx", "mwaitx"], all(&["done", "#UD"])),
    (37, &["umonitor"], all(&["done", "#UD"])),
    // Processors that do not know them take them for another instruction, or for none.
    (37, &["umwait", "tpause"], all(&["done", "#UD", "#GP"])),
    (37, &["pause"], all(DONE)),
    (38, &["in-0x60", "in-0xcfc", "out-0x7d", "out-0x7f", "out-0x80", "out-0x3f8", "out-0xffff"], all(GP)),
    (38, &["out-16-bits-0x7e", "out-32-bits-0x7c"], all(GP)),
    // The port gate's port, on a host that has that gate.
    (38, &["in-0x7e"], all(GP).pvm(&["foreign exit"])),
    (38, &["out-0x7e"], all(GP).pvm(FOREIGN_TRAP)),
    (39, &["insb-0x7e", "insb-0x7e-to-text"], all(GP).pvm(&["foreign exit"])),
    (39, &["outsb-0x7e", "rep-outsb-0x7e"], all(GP).pvm(FOREIGN_TRAP)),
    (41, &["vmcall"], all(GP_UD).pvm(GP).process(EPERM_OR_UD).intel(FOREIGN_TRAP)),
    (42, &["vmmcall"], all(UD).pvm(EPERM).process(EPERM_OR_UD).amd(FOREIGN_TRAP)),
    (43, &["vmgexit"], all(UD).pvm(EPERM).process(EPERM_OR_UD).amd(FOREIGN_TRAP)),
    (42, &["hypercall-kvm-clock-pairing", "hypercall-kvm-kick", "hypercall-kvm-map-gpa"],
        all(UD).pvm(EPERM).process(EPERM_OR_UD).amd(FOREIGN_TRAP)),
    (45, &["vmfunc", "vmxon", "vmxoff", "vmread", "vmwrite", "vmlaunch", "vmresume"], all(UD).process(GP_UD)),
    (45, &["vmptrld", "vmclear", "invept", "invvpid"], all(UD).process(GP_UD)),
    (46, &["vmrun", "vmload", "vmsave", "stgi", "clgi", "skinit", "invlpga", "invlpgd"], all(GP_UD)),
    // kvm-pvm ignores EFER.SCE: LSTAR, 0 in every machine, leads to an unmapped page.
    (47, &["syscall", "syscall-bad-stack", "syscall-single-step", "syscall-0", "syscall-exit", "syscall-335", "syscall-336",
        "syscall-x32", "syscall-huge"], all(UD).pvm(PF).process(KILLED)),
    (49, &["sysenter"], all(GP_UD).process(&["#UD", "#GP", "foreign trap"])),
    (50, &["sysret", "sysexit"], all(GP_UD)),
    (50, &["iretq"], all(GP)),
    (51, &["int-0", "int-1", "int-2", "int-6", "int-8", "int-13", "int-14", "int-18", "int-0x20", "int-0x2e", "int-0xff"],
        all(GP).pvm(UD)),
    (51, &["int-0x80"], all(GP).pvm(UD).process(KILLED)),
    (52, &["int3", "int-3"], all(&["#BP"])),
    (52, &["int-4"], all(&["#OF"])),
    (52, &["into"], all(UD)),
    // TCG does not know it.
    (53, &["int1"], all(&["#DB"]).amd(&["#DB", "#UD"])),
    (54, &["ud0", "ud1", "ud2"], all(UD)),
    (55, &["kvm-prefix-cpuid"], all(UD)),
    (56, &["pvm-prefix-cpuid"], all(GP)),
    (57, &["far-jump"], all(GP)),
    (57, &["far-call-immediate"], all(UD)),
    (58, &["far-return"], all(GP)),
    (60, &["far-return-own"], all(&["gives 0x33"])),
    // Where there is a 32-bit code segment, nothing is mapped that it could execute.
    (60, &["far-return-compatibility"], all(GP).process(PF)),
    (61, &["load-ds", "load-ss", "load-selector-ss"], all(GP)),
    (61, &["load-selector-ds", "load-selector-es", "load-selector-fs", "load-selector-gs"], all(DONE)),
    // Of IF, IOPL, VIF and VIP, IF alone is set before and after.
    (63, &["popf-privileged", "iretq-flags"], all(&["gives 0x200"])),
    (63, &["popf-resume"], all(&["gives 0x0"])),
    (63, &["popf-nested"], all(&["gives 0x4000"])),
    (64, &["popf-trap", "step-into-gate-call"], all(&["#DB"])),
    // kvm-pvm and Linux check alignment although, or because, CR0.AM is what it is.
    (65, &["popf-align"], all(&["#AC", "done"])),
    // The call works, and the direction flag is as it was: 1.
    (67, &["gate-direction"], all(&["gives 0x1"])),
    (67, &["gate-align", "gate-all-flags"], all(&["gives 0x0"])),
    (67, &["gate-unmapped-stack", "gate-stack-at-null"], all(PF)),
    // Bytes of the gate page that are not its first. In them lies part of an instruction, padding, or another way to the monitor.
    (67, &["gate-second-byte", "gate-third-byte"], all(&["#PF", "#GP", "#UD", "#BP", "done"])),
    (67, &["gate-page-second-trap"], all(&["#BP"]).process(&["#*", "foreign trap"])),
    // It takes its flags from the stack: which trap comes first is chance.
    (67, &["gate-page-start"], all(&["#BP"]).process(&["#*"])),
    (67, &["gate-page-last-byte"], all(&["#BP"])),
    (81, &["gate-page-before", "gate-page-write", "gate-prefix-write"], all(PF)),
    (68, &["stac", "clac"], all(UD)),
    (69, &["encls", "enclu", "getsec", "rsm", "pconfig", "seamcall", "tdcall", "hreset", "senduipi", "uiret", "clui", "enqcmd", "enqcmds",
        "mcommit", "wrss", "wruss", "psmash", "pvalidate", "rmpadjust"], all(GP_UD)),
    // TCG takes it for an old instruction that loads.
    (69, &["lwp"], all(GP_UD).amd(&["#GP", "#UD", "#PF"])),
    // A process may have transactions, as has TCG: this one ends where it begins. PTWRITE does nothing while nobody traces.
    (69, &["xbegin", "ptwrite"], all(GP_UD).process(&["#UD", "#GP", "done"]).amd(&["#UD", "#GP", "done"])),
    (70, &["rdsspq", "endbr"], all(&["gives 0x0"])),
    // TCG takes it for a hint.
    (70, &["incsspq"], all(GP_UD).amd(&["#GP", "#UD", "done"])),
    (70, &["clrssbsy", "saveprevssp"], all(GP_UD)),
    (70, &["setssbsy"], all(&["#GP", "#UD", "done"])),
    (71, &["sixteen-bytes", "fifteen-bytes-hlt"], all(GP)),
    (71, &["fifteen-bytes"], all(DONE)),
    (71, &["lock-nop", "vex-of-nothing"], all(UD)),
    // TCG does not check.
    (71, &["lock-mov"], all(UD).amd(&["#UD", "done"])),
    (72, &["divide-by-zero", "divide-overflow"], all(&["#DE"])),
    (72, &["x87-unmasked"], all(&["#MF"])),
    // TCG raises no exception.
    (72, &["sse-unmasked"], all(&["#XM"]).amd(&["#XM", "done"])),
    (73, &["rdrand", "rdseed"], all(&["done", "#UD"])),
    (74, &["prefetch-kernel"], all(DONE)),
    // TCG takes it for no access.
    (74, &["clflush-kernel"], all(PF).amd(&["#PF", "done"])),
    (74, &["clflush-scratch"], all(DONE)),
    (75, &["x87-stack", "x87-registers"], all(&["gives 0x0"])),
    (75, &["vector-control"], all(&["gives 0x1f80"])),
    (75, &["upper-halves", "upper-registers"], all(&["gives 0x0", "#UD"])),
    (99, &["read-kernel"], all(PF)),
    (100, &["read-non-canonical", "jump-non-canonical"], all(GP)),
    (100, &["push-non-canonical"], all(&["#SS"]).amd(&["#SS", "#GP"])),
    (101, &["read-vsyscall"], all(PF)),
    (101, &["call-vsyscall"], all(PF).process(&["#PF", "foreign trap"])),
    (87, &["read-null"], all(PF)),
    // Not in the catalogue: opcodes that 64-bit mode does not have, or that only old processors had.
    (300, &["loadall", "jmpe", "bound", "les", "aam-zero", "push-cs", "move-to-cs"], all(GP_UD)),
    (300, &["control-register-1", "control-register-5", "control-register-15", "test-register"], all(GP_UD)),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let of_row = |&(row, names, expected): &(u32, &'static [&'static str], Expected)| {
        names.iter().map(move |&name| case(row, name, expected, move |host| guest::attack(host, &[name])))
    };
    TABLE.iter().flat_map(of_row).collect()
}
