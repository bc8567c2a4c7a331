//! Memory and calls, raw.
#![expect(unsafe_code, reason = "a hostile guest writes where it is told and calls with any registers")]

use core::arch::asm;
use core::cell::UnsafeCell;

use bytecode::Memory;
use bytecode::chunk::ARENA_BYTES;

/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

unsafe extern "C" {
    /// The gate page of the guest library.
    fn ringwall_gate();
}

#[repr(C, align(4096))]
struct Shared<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: there is one thread.
unsafe impl<const N: usize> Sync for Shared<N> {}

static CHUNK: Shared<CHUNK_BYTES> = Shared(UnsafeCell::new([0; CHUNK_BYTES]));
static ARENA: Shared<ARENA_BYTES> = Shared(UnsafeCell::new([0; ARENA_BYTES]));

pub(crate) fn chunk_address() -> u64 {
    CHUNK.0.get().addr() as u64
}

pub(crate) fn arena_address() -> u64 {
    ARENA.0.get().addr() as u64
}

/// The chunk that the harness has put there.
pub(crate) fn chunk(len: usize) -> &'static [u8] {
    // SAFETY: the harness writes the chunk only while this guest asks for one, and programs cannot reach it.
    unsafe { core::slice::from_raw_parts(CHUNK.0.get().cast(), len.min(CHUNK_BYTES)) }
}

/// Makes a call with these registers.
pub(crate) fn call(nr: u64, arguments: [u64; 6]) -> i64 {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: i64;
    // SAFETY: the gate changes RAX, RCX and R11, and what the call says. Programs name memory in the heap, the arena, and the unused
    // end of the stack, none of which holds anything of Rust's.
    unsafe {
        asm!(
            "call {gate}",
            gate = sym ringwall_gate,
            inlateout("rax") nr => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Memory as it is.
pub(crate) struct Raw;

impl Memory for Raw {
    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide")]
    fn write(&mut self, address: u64, bytes: &[u8]) {
        let target = core::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: the interpreter has found the range in a region that programs may write, see `call`.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide")]
    fn read(&self, address: u64, bytes: &mut [u8]) {
        let source = core::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: as for writing.
        unsafe { core::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) };
    }
}
