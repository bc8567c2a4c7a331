//! All registers around one call of the gate.
#![expect(unsafe_code, reason = "loads and stores every register")]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use guest::hvcall::RawCall;

/// Registers, before a call and then after it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// In the order of [`NAMES`].
    general: [u64; 15],
    flags: u64,
    /// YMM0 to YMM15, or XMM0 to XMM15 and then zeros.
    vectors: [[u64; 4]; 16],
    mxcsr: u32,
    /// Whether to use the YMM registers.
    avx: u32,
}

const NAMES: [&str; 15] =
    ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
/// RAX holds the result; RCX and R11 may be anything (hvcall, "Transport").
const CLOBBERED: [&str; 3] = ["rax", "rcx", "r11"];

impl State {
    /// The call's registers, and in every other one a value of its own.
    pub(crate) fn patterned(call: &RawCall, flags: u64) -> Self {
        let mut general = [0; 15];
        for (value, number) in general.iter_mut().zip(1_u64..) {
            *value = number.wrapping_mul(0x0123_4567_89ab_cdef);
        }
        let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
        for (place, value) in [(0, call.nr), (5, rdi), (4, rsi), (3, rdx), (9, r10), (7, r8), (8, r9)] {
            general[place] = value;
        }
        let avx = has_avx();
        let mut vectors = [[0; 4]; 16];
        for (vector, number) in vectors.iter_mut().zip(1_u64..) {
            let word = number.wrapping_mul(0x1111_0101_0011_1001);
            *vector = if avx { [word, !word, word << 1, !word >> 1] } else { [word, !word, 0, 0] };
        }
        // Every exception masked, rounding towards zero, flush to zero, and all status bits set.
        Self { general, flags, vectors, mxcsr: 0xffbf, avx: u32::from(avx) }
    }

    /// Names of the registers that differ and may not.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'static str> + 'a {
        let general = NAMES.into_iter().zip(self.general.iter().zip(&other.general));
        let general = general.filter(|(name, (one, two))| one != two && !CLOBBERED.contains(name));
        let others = [
            ("rflags", self.flags != other.flags),
            ("a vector register", self.vectors != other.vectors),
            ("mxcsr", self.mxcsr != other.mxcsr),
        ];
        general
            .map(|(name, _)| name)
            .chain(others.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name))
    }
}

/// Whether the CPU has AVX and the machine lets it be used (SDM Vol. 1, section 14.3).
fn has_avx() -> bool {
    const OSXSAVE_AND_AVX: u32 = 0b11 << 27;
    if core::arch::x86_64::__cpuid(1).ecx & OSXSAVE_AND_AVX != OSXSAVE_AND_AVX {
        return false;
    }
    let enabled: u32;
    // SAFETY: OSXSAVE says that XGETBV exists; it only reads.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack)) };
    enabled & 0b110 == 0b110
}

/// MXCSR and the x87 control word.
pub(crate) fn floating_point_control() -> (u32, u16) {
    let (mut mxcsr, mut fcw) = (0_u32, 0_u16);
    // SAFETY: both instructions only store, to variables of the right size.
    unsafe {
        asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut fcw, options(nostack))
    };
    (mxcsr, fcw)
}

/// Loads all registers from `state`, calls the gate, and stores them there.
pub(crate) fn call_with(state: &mut State) {
    // SAFETY: the function keeps what the calling convention says, and writes nothing but `state`. What the calls made here write
    // is memory that nothing reads.
    unsafe { load_call_store(state) };
}

unsafe extern "C" {
    /// The gate page of the guest library.
    fn ringwall_gate();
}

#[unsafe(naked)]
unsafe extern "C" fn load_call_store(state: *mut State) {
    naked_asm!(
        "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "push rdi",
        // Vector registers.
        "ldmxcsr [rdi + {mxcsr}]",
        "cmp dword ptr [rdi + {avx}], 0",
        "lea rax, [rdi + {vectors}]",
        "je 2f",
        ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "vmovdqu ymm\\n, [rax + 32 * \\n]",
        ".endr",
        "jmp 3f",
        "2:",
        ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movdqu xmm\\n, [rax + 32 * \\n]",
        ".endr",
        "3:",
        // General registers; the flags before them, because loads keep flags.
        "push qword ptr [rdi + {flags}]",
        "popfq",
        "mov rax, [rdi]", "mov rbx, [rdi + 8]", "mov rcx, [rdi + 16]", "mov rdx, [rdi + 24]",
        "mov rsi, [rdi + 32]", "mov rbp, [rdi + 48]", "mov r8, [rdi + 56]", "mov r9, [rdi + 64]",
        "mov r10, [rdi + 72]", "mov r11, [rdi + 80]", "mov r12, [rdi + 88]", "mov r13, [rdi + 96]",
        "mov r14, [rdi + 104]", "mov r15, [rdi + 112]", "mov rdi, [rdi + 40]",
        "call {gate}",
        // The state's address comes back from the stack in exchange for RDI.
        "xchg rdi, [rsp]",
        "mov [rdi], rax", "mov [rdi + 8], rbx", "mov [rdi + 16], rcx", "mov [rdi + 24], rdx",
        "mov [rdi + 32], rsi", "mov [rdi + 48], rbp", "mov [rdi + 56], r8", "mov [rdi + 64], r9",
        "mov [rdi + 72], r10", "mov [rdi + 80], r11", "mov [rdi + 88], r12", "mov [rdi + 96], r13",
        "mov [rdi + 104], r14", "mov [rdi + 112], r15",
        "pushfq",
        "pop qword ptr [rdi + {flags}]",
        "cld",
        "pop rax",
        "mov [rdi + 40], rax",
        // Vector registers again.
        "stmxcsr [rdi + {mxcsr}]",
        "cmp dword ptr [rdi + {avx}], 0",
        "lea rax, [rdi + {vectors}]",
        "je 4f",
        ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "vmovdqu [rax + 32 * \\n], ymm\\n",
        ".endr",
        "vzeroupper",
        "jmp 5f",
        "4:",
        ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movdqu [rax + 32 * \\n], xmm\\n",
        ".endr",
        "5:",
        "ldmxcsr [rsp]",
        "add rsp, 8",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
        "ret",
        gate = sym ringwall_gate,
        flags = const offset_of!(State, flags),
        vectors = const offset_of!(State, vectors),
        mxcsr = const offset_of!(State, mxcsr),
        avx = const offset_of!(State, avx),
    )
}
