//! Ways to end.
#![expect(unsafe_code, reason = "most ends are crashes")]

use core::arch::asm;

use bytecode::chunk::End;

use crate::memory::call;

/// Ends the guest, or returns if it is to go on.
pub(crate) fn end(how: End, heap: u64) {
    match how {
        End::Next => {}
        End::Exit => drop(call(0, [7, 0, 0, 0, 0, 0])),
        End::BadExit => drop(call(0, [64, 0, 0, 0, 0, 0])),
        // SAFETY: none, for this and all that follow: the crash is the purpose.
        End::ReadNull => unsafe { asm!("mov al, [{null}]", null = in(reg) 0_u64, out("al") _) },
        End::WriteText => {
            // SAFETY: as above.
            unsafe { asm!("mov byte ptr [{text}], 0xcc", text = in(reg) end as fn(End, u64)) }
        }
        // SAFETY: as above.
        End::Undefined => unsafe { asm!("ud2") },
        // SAFETY: as above.
        End::Halt => unsafe { asm!("hlt") },
        // SAFETY: as above.
        End::OutElsewhere => unsafe { asm!("out 0x7e, al", inout("rax") 7_u64 => _, out("rcx") _) },
        // SAFETY: as above.
        End::JumpToHeap => unsafe { asm!("jmp {heap}", heap = in(reg) heap) },
    }
}
