//! Leaving the C library's restartable-sequence area, which the kernel would write to when it is no longer there.
#![expect(unsafe_code, reason = "asks the C library and the kernel about this thread's area")]

use std::io;

use super::ProcessError;

// glibc has them since 2.35; where the symbols are missing their addresses are 0 (glibc manual, "Restartable Sequences").
std::arch::global_asm!(".weak __rseq_offset", ".weak __rseq_size");

/// `RSEQ_FLAG_UNREGISTER` and glibc's `RSEQ_SIG` for x86 (include/uapi/linux/rseq.h; sysdeps/.../x86/bits/rseq.h).
const UNREGISTER: u32 = 1;
const SIGNATURE: u32 = 0x5305_3053;
/// Lengths that C libraries register: the first version's, and what newer kernels ask for (`AT_RSEQ_FEATURE_SIZE` in units of 32).
const LENGTHS: [u32; 3] = [32, 64, 96];
/// Offset of `cpu_id` in `struct rseq`. Negative while nothing is registered.
const CPU_ID: usize = 4;

/// Unregisters this thread's area. A process made by this thread from now on has none either.
pub(super) fn unregister() -> Result<(), ProcessError> {
    let (offset, size): (usize, usize);
    // SAFETY: reads two entries of the global offset table.
    unsafe {
        std::arch::asm!(
            "mov {offset}, [rip + __rseq_offset@GOTPCREL]",
            "mov {size}, [rip + __rseq_size@GOTPCREL]",
            offset = out(reg) offset, size = out(reg) size, options(nostack, preserves_flags, readonly),
        );
    }
    if offset == 0 || size == 0 {
        return Ok(());
    }
    // SAFETY: the C library's constant of that name, which it set before `main`.
    let size = unsafe { std::ptr::with_exposed_provenance::<u32>(size).read() };
    if size == 0 {
        return Ok(());
    }
    // SAFETY: as above.
    let offset = unsafe { std::ptr::with_exposed_provenance::<isize>(offset).read() };
    let thread: usize;
    // SAFETY: the thread pointer's first word is itself (System V ABI, x86-64 supplement, "Thread-Local Storage").
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) thread, options(nostack, preserves_flags, readonly)) };
    let area = thread.wrapping_add_signed(offset);
    let cpu_id = std::ptr::with_exposed_provenance::<i32>(area + CPU_ID);
    // SAFETY: the area lies in this thread's control block and is aligned. The kernel writes it only while this thread is not running.
    if unsafe { cpu_id.read_volatile() } < 0 {
        return Ok(());
    }
    let refused = |length: u32| {
        // SAFETY: gives up an area; nothing in this program or in the C library depends on it being kept up to date.
        unsafe { libc::syscall(libc::SYS_rseq, area, length, UNREGISTER, SIGNATURE) != 0 }
    };
    if LENGTHS.into_iter().all(refused) {
        return Err(ProcessError::Step { step: "rseq", source: io::Error::last_os_error() });
    }
    Ok(())
}
