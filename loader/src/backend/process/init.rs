//! What a guest's process does with itself before it is one.
//!
//! The monitor makes it by a call into the init pages, which return to the monitor alone. In the new process one small loop works
//! through a table of system calls that the monitor has written: unmap everything but these pages, map the
//! regions, set the signal handlers, install the filter, let go of the descriptors. Then it resets the vector state, clears the
//! registers and jumps to the gate with the request to unmap these very pages, which the monitor grants once.
#![expect(unsafe_code, reason = "code for another process")]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::address::index;
use crate::image::Permission;
use crate::layout::gate::{SECOND_TRAP, START};
use crate::layout::{Gate, Plan, Region, RegionKind, Slot};

use super::filter;

/// Size of the pages, for a plan with as many regions as there can be.
pub(super) const INIT_BYTES: u64 = 3 * 4096;
/// End of a process's half of the addresses, less the last page, which is never mapped (Documentation/arch/x86/x86_64/mm.rst).
pub(super) const TASK_END: u64 = (1 << 47) - 4096;

const HEADER: usize = 0x100;
const SIGNAL_STACK: usize = 0x140;
const ACTION: usize = 0x160;
const MASK: usize = 0x180;
const PROGRAM: usize = 0x190;
const FILTER: usize = 0x1a0;
const TABLE: usize = 0x280;
static_assertions::const_assert!(FILTER + filter::INSTRUCTIONS * 8 <= TABLE);

/// Signals of the guest's own making, whose handlers report them.
const FAULTS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
/// Kernel's flags that libc does not have: `SA_RESTORER` (arch/x86/include/uapi/asm/signal.h), `SS_AUTODISARM`
/// (include/uapi/linux/signal.h), `PR_SET_SYSCALL_USER_DISPATCH` and `PR_SYS_DISPATCH_ON` (include/uapi/linux/prctl.h).
const SA_RESTORER: u64 = 0x0400_0000;
const SS_AUTODISARM: u64 = 1 << 31;
const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
const PR_SYS_DISPATCH_ON: u64 = 1;
/// arch/x86/include/uapi/asm/prctl.h.
const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
/// Initial MXCSR (SDM Vol. 1, section 11.6.4) and its place in an XSAVE area (table 10-2).
const MXCSR: u32 = 0x1f80;
const MXCSR_OFFSET: u64 = 24;

std::arch::global_asm!(
    ".pushsection .rodata.ringwall_init, \"a\"",
    ".balign 64",
    "ringwall_init:",
    // Called by the monitor with its own process in R13D. It returns there with the new process in RAX.
    "    mov eax, {clone}",
    "    mov edi, {flags}",
    "    xor esi, esi",
    "    xor edx, edx",
    "    xor r10d, r10d",
    "    xor r8d, r8d",
    "    syscall",
    "    test rax, rax",
    "    jz 7f",
    "    ret",
    // The new process has no stack. It dies with the monitor, even if that is dead already.
    "7:  mov eax, {prctl}",
    "    mov edi, {pdeathsig}",
    "    mov esi, {kill}",
    "    syscall",
    "    mov eax, {getppid}",
    "    syscall",
    "    mov r12d, 255",
    "    cmp eax, r13d",
    "    jne 6f",
    "    lea rbx, [rip + ringwall_init + {table}]",
    "    xor r12d, r12d",
    "2:  mov rax, [rbx]",
    "    cmp rax, -1",
    "    je 4f",
    "    mov rdi, [rbx + 8]",
    "    mov rsi, [rbx + 16]",
    "    mov rdx, [rbx + 24]",
    "    mov r10, [rbx + 32]",
    "    mov r8, [rbx + 40]",
    "    mov r9, [rbx + 48]",
    "3:  syscall",
    "ringwall_init_site:",
    "    mov rcx, [rbx + 56]",
    "    jrcxz 5f",
    "    mov [rcx], eax",
    "5:  test rax, rax",
    "    js 6f",
    "    add rbx, 64",
    "    inc r12d",
    "    jmp 2b",
    // A failure: exit_group with the position in the table.
    "6:  mov eax, {exit_group}",
    "    mov edi, r12d",
    "    jmp 3b",
    // All done: x87, SSE and all other vector state as after a reset.
    "4:  mov rcx, [rip + ringwall_init + {header}]",
    "    mov eax, -1",
    "    mov edx, -1",
    "    xrstor64 [rcx]",
    "    mov rsp, [rip + ringwall_init + {header} + 8]",
    "    mov r11, [rip + ringwall_init + {header} + 16]",
    "    mov eax, {munmap}",
    "    lea rdi, [rip + ringwall_init]",
    "    mov esi, {bytes}",
    "    xor ebx, ebx",
    "    xor ecx, ecx",
    "    xor edx, edx",
    "    xor ebp, ebp",
    "    xor r8d, r8d",
    "    xor r9d, r9d",
    "    xor r10d, r10d",
    "    xor r12d, r12d",
    "    xor r13d, r13d",
    "    xor r14d, r14d",
    "    xor r15d, r15d",
    "    jmp r11",
    ".org ringwall_init + {header}, 0xcc",
    ".popsection",
    table = const TABLE,
    header = const HEADER,
    bytes = const INIT_BYTES,
    clone = const libc::SYS_clone,
    flags = const libc::CLONE_FILES | libc::SIGCHLD,
    prctl = const libc::SYS_prctl,
    pdeathsig = const libc::PR_SET_PDEATHSIG,
    kill = const libc::SIGKILL,
    getppid = const libc::SYS_getppid,
    exit_group = const libc::SYS_exit_group,
    munmap = const libc::SYS_munmap,
);

unsafe extern "C" {
    static ringwall_init: [u8; HEADER];
    static ringwall_init_site: u8;
}

/// The pages and what is known about them.
#[derive(Debug)]
pub(super) struct Init {
    /// Content, from the first byte of the pages on.
    pub(super) content: Vec<u8>,
    /// The system call at each position of the table.
    pub(super) steps: Vec<i64>,
    /// Where the listener's number appears: the offset in [`Slot::Writable`].
    pub(super) listener_offset: u64,
    /// Bytes of [`Slot::Writable`] that have to be set before, and to be cleared after.
    pub(super) prepared: Vec<(u64, Vec<u8>)>,
    /// The same, for what the guest itself takes from its stack.
    pub(super) stack: (u64, Vec<u8>),
}

/// Whether a region exists in a process.
pub(super) const fn is_mapped(kind: RegionKind) -> bool {
    match kind {
        RegionKind::Text
        | RegionKind::ReadOnlyData
        | RegionKind::Data
        | RegionKind::BootInfo
        | RegionKind::FaultStack
        | RegionKind::Stack
        | RegionKind::Heap => true,
        RegionKind::Stubs | RegionKind::DoubleFaultStack | RegionKind::Descriptors => false,
    }
}

/// Where the pages are while they are: where a virtual machine has its descriptors.
pub(super) fn base(plan: &Plan) -> u64 {
    plan.region(RegionKind::Descriptors).gva.0
}

/// Addresses that the gate's and the handlers' system calls return to.
pub(super) fn sites(plan: &Plan, gate: &Gate) -> [u64; 2] {
    [plan.gate.0 + gate.rip_offset, plan.gate.0 + SECOND_TRAP as u64 + 2]
}

impl Init {
    /// The pages for a plan.
    pub(super) fn new(plan: &Plan, gate: &Gate, sealed: BorrowedFd<'_>, writable: BorrowedFd<'_>) -> Self {
        let fault_stack = plan.region(RegionKind::FaultStack);
        let stack = plan.region(RegionKind::Stack);
        // The top of the fault stack; the kernel's frame will be written over it.
        let listener = fault_stack.end().0 - 64;
        let listener_offset = fault_stack.offset + fault_stack.size_bytes - 64;
        let mut pages = Pages { base: base(plan), bytes: vec![0; TABLE], steps: Vec::new() };
        // SAFETY: that many bytes of this program, never written.
        let code: &[u8; HEADER] = unsafe { &ringwall_init };
        pages.put(0, code);
        pages.words(HEADER, &[fault_stack.gva.0, stack.end().0 - 40, plan.gate.0]);
        pages.words(SIGNAL_STACK, &[fault_stack.gva.0, SS_AUTODISARM, fault_stack.size_bytes]);
        let handler = plan.gate.0 + SECOND_TRAP as u64;
        let flags = (libc::SA_SIGINFO | libc::SA_ONSTACK).cast_unsigned();
        // Nothing ever returns to the restorer, but without one the kernel delivers nothing.
        pages.words(ACTION, &[handler, u64::from(flags) | SA_RESTORER, handler + 2, u64::MAX]);
        pages.words(MASK, &[FAULTS.iter().fold(u64::MAX, |mask, signal| mask & !(1 << (signal - 1)))]);
        pages.words(PROGRAM, &[filter::INSTRUCTIONS as u64, pages.base + FILTER as u64]);
        let program = filter::program(sites(plan, gate), pages.base + site_offset());
        for (position, instruction) in program.iter().enumerate() {
            let [low, high] = instruction.code.to_le_bytes();
            let [a, b, c, d] = instruction.k.to_le_bytes();
            pages.put(FILTER + position * 8, &[low, high, instruction.jt, instruction.jf, a, b, c, d]);
        }
        pages.table(plan, sealed, writable, listener);
        let start =
            [plan.gate.0 + START as u64, 0x202, plan.region(RegionKind::BootInfo).gva.0, plan.entry.0];
        let start = start.iter().flat_map(|word| word.to_le_bytes()).collect();
        Self {
            content: pages.bytes,
            steps: pages.steps,
            listener_offset,
            prepared: vec![
                (listener_offset, NO_LISTENER.to_le_bytes().to_vec()),
                (fault_stack.offset + MXCSR_OFFSET, MXCSR.to_le_bytes().to_vec()),
            ],
            stack: (stack.offset + stack.size_bytes - 40, start),
        }
    }
}

/// What stands for a listener that is not there yet: no descriptor and no error number.
pub(super) const NO_LISTENER: u32 = 0x8000_0000;

fn site_offset() -> u64 {
    let [start, site] = [(&raw const ringwall_init).addr(), (&raw const ringwall_init_site).addr()];
    (site - start) as u64
}

/// The pages while they are being written.
struct Pages {
    base: u64,
    bytes: Vec<u8>,
    steps: Vec<i64>,
}

impl Pages {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn words(&mut self, at: usize, words: &[u64]) {
        for (position, word) in words.iter().enumerate() {
            self.put(at + position * 8, &word.to_le_bytes());
        }
    }

    /// Appends a system call, and where its result goes, if anywhere.
    fn call_into(&mut self, number: i64, arguments: &[u64], result: u64) {
        let mut words = [0; 8];
        words[0] = number.cast_unsigned();
        words[1..=arguments.len()].copy_from_slice(arguments);
        words[7] = result;
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self.steps.push(number);
    }

    fn call(&mut self, number: i64, arguments: &[u64]) {
        self.call_into(number, arguments, 0);
    }

    fn table(&mut self, plan: &Plan, sealed: BorrowedFd<'_>, writable: BorrowedFd<'_>, listener: u64) {
        let base = self.base;
        let end = base + INIT_BYTES;
        let at = |offset: usize| base + offset as u64;
        let prctl = |option: i32| u64::from(option.cast_unsigned());
        self.call(libc::SYS_prctl, &[prctl(libc::PR_SET_NO_NEW_PRIVS), 1]);
        self.call(libc::SYS_munmap, &[0, base]);
        self.call(libc::SYS_munmap, &[end, TASK_END - end]);
        for region in plan.regions.iter().filter(|region| is_mapped(region.kind)) {
            let fd = if region.slot == Slot::Writable { writable } else { sealed };
            self.call(libc::SYS_mmap, &mapping(region, u64::from(fd.as_raw_fd().cast_unsigned())));
        }
        self.call(libc::SYS_sigaltstack, &[at(SIGNAL_STACK)]);
        for signal in FAULTS {
            self.call(libc::SYS_rt_sigaction, &[u64::from(signal.cast_unsigned()), at(ACTION), 0, 8]);
        }
        self.call(libc::SYS_rt_sigprocmask, &[libc::SIG_SETMASK as u64, at(MASK), 0, 8]);
        self.call(libc::SYS_arch_prctl, &[ARCH_SET_FS, 0]);
        self.call(libc::SYS_arch_prctl, &[ARCH_SET_GS, 0]);
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        let mode = u64::from(libc::SECCOMP_SET_MODE_FILTER);
        self.call_into(libc::SYS_seccomp, &[mode, flags, at(PROGRAM)], listener);
        self.call(libc::SYS_close_range, &[0, u64::from(u32::MAX), u64::from(libc::CLOSE_RANGE_UNSHARE)]);
        self.call(libc::SYS_futex, &[listener, libc::FUTEX_WAKE as u64, 1]);
        // The last one: from here on a system call outside the gate page is a signal, whatever its number.
        let dispatch = [PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, plan.gate.0, 4096, 0];
        self.call(libc::SYS_prctl, &dispatch);
        self.bytes.extend([0xff; 8]);
        debug_assert!(self.bytes.len() <= index(INIT_BYTES));
    }
}

fn mapping(region: &Region, fd: u64) -> [u64; 6] {
    let access = match region.permission {
        Permission::ReadOnly => libc::PROT_READ,
        Permission::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        Permission::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    };
    let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE;
    let word = |value: i32| u64::from(value.cast_unsigned());
    [region.gva.0, region.size_bytes, word(access), word(flags), fd, region.offset]
}
