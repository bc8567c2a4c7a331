//! The notes of a core: one thread's registers, the program's name, and where it lies.

use hvcall::{GuestExit, Wire as _};

use super::elf::{self, NoteHeader, Process, Status};
use crate::address::PAGE_BYTES;
use crate::layout::Plan;
use crate::monitor::end::End;
use crate::monitor::vcpu::Registers;

/// Debuggers want a process number, and one that is not 0.
const PID: u32 = 1;
/// Ring-3 selectors, as debuggers know them from Linux (arch/x86/include/asm/segment.h, v6.12): the guest's own say nothing.
const CODE_SELECTOR: u64 = 0x33;
const DATA_SELECTOR: u64 = 0x2b;

/// Where in the notes [`Status`] is: first.
const STATUS_AT: usize = size_of::<NoteHeader>();

/// The notes, with registers that are zero.
pub(super) fn notes(plan: &Plan, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_note(&mut bytes, elf::NT_PRSTATUS, &Status::default());
    let mut process = Process { ids: [0, 0, PID, 0, PID, PID], ..Process::default() };
    process.state = [0, b'R', 0, 0];
    // One byte stays for the NUL.
    for (to, from) in process.name[..15].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    for (to, from) in process.arguments.as_flattened_mut()[..79].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    put_note(&mut bytes, elf::NT_PRPSINFO, &process);
    let vector = [[elf::AT_ENTRY, plan.entry.0], [elf::AT_PAGESZ, PAGE_BYTES], [0, 0]];
    put_note(&mut bytes, elf::NT_AUXV, &vector);
    bytes
}

fn put_note<T: hvcall::Wire>(bytes: &mut Vec<u8>, kind: u32, content: &T) {
    // All contents here are a multiple of 4 bytes long and small.
    let content_bytes = u32::try_from(T::SIZE_BYTES).unwrap_or(u32::MAX);
    elf::put(bytes, &NoteHeader { name_bytes: 5, content_bytes, kind, name: *b"CORE\0\0\0\0" });
    elf::put(bytes, content);
}

/// Puts registers and signal into the notes.
pub(super) fn put_registers(notes: &mut [u8], registers: &Registers, signal: u8) {
    let [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15] = registers.general;
    let Registers { rip, rflags, .. } = *registers;
    let status = Status {
        info: [u32::from(signal), 0, 0],
        signal: u16::from(signal),
        ids: [PID, 0, PID, PID],
        registers: [
            r15,
            r14,
            r13,
            r12,
            rbp,
            rbx,
            r11,
            r10,
            r9,
            r8,
            rax,
            rcx,
            rdx,
            rsi,
            rdi,
            u64::MAX,
            rip,
            CODE_SELECTOR,
            rflags,
            rsp,
            DATA_SELECTOR,
            0,
            0,
            0,
            0,
            0,
            0,
        ],
        ..Status::default()
    };
    status.write(&mut notes[STATUS_AT..]);
}

/// The signal that Linux would have killed a process with.
#[must_use]
pub const fn signal_of(end: End) -> u8 {
    match end {
        End::Exit(GuestExit::Status(_)) => 0,
        End::Exit(GuestExit::Panic) => signal(libc::SIGABRT),
        // arch/x86/kernel/traps.c, v6.12.
        End::Fault { vector: 0 | 16 | 19 } => signal(libc::SIGFPE),
        End::Fault { vector: 1 | 3 } => signal(libc::SIGTRAP),
        End::Fault { vector: 6 } => signal(libc::SIGILL),
        End::Fault { vector: 11 | 12 | 17 } => signal(libc::SIGBUS),
        End::Fault { .. } | End::ForeignExit { .. } => signal(libc::SIGSEGV),
        End::ForeignTrap | End::BadExit { .. } => signal(libc::SIGSYS),
        End::TripleFault | End::RunFailed { .. } | End::EntryFailed { .. } => signal(libc::SIGKILL),
        End::Killed { signal } => signal,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "signals are 1 to 64")]
const fn signal(number: i32) -> u8 {
    number as u8
}
