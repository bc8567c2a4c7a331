//! Memory accesses that must fault, or not succeed.
#![expect(unsafe_code, reason = "the crash is the purpose")]

use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use guest::MIB;

/// Read-write data that happens to be machine code: `ret`.
static DATA: AtomicU64 = AtomicU64::new(0xc3);

/// Reads address 0.
#[inline(never)]
pub(crate) fn read_null() {
    let nowhere = core::ptr::without_provenance::<u8>(black_box(0));
    // SAFETY: none, the crash is the purpose: nothing is mapped there.
    let value = unsafe { nowhere.read_volatile() };
    black_box(value);
}

/// Reads address 0, with something for a debugger to show.
#[inline(never)]
pub(crate) fn read_null_among_locals() {
    let width = 1920_u64;
    let name = "panel";
    let rows = [3_u32, 1, 4];
    black_box((&raw const width, &raw const name, &raw const rows));
    read_null();
    black_box((&raw const width, &raw const name, &raw const rows));
}

/// Recurses until the stack is used up.
#[inline(never)]
pub(crate) fn overflow_stack() {
    black_box(descend(1));
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "the crash is the purpose")]
fn descend(depth: u64) -> u64 {
    let mut frame = [depth; 64];
    black_box(&mut frame);
    descend(black_box(depth.wrapping_add(1))).wrapping_add(frame[0])
}

/// Calls into data, which is not executable.
#[inline(never)]
pub(crate) fn jump_to_data() {
    DATA.store(0xc3, Ordering::Relaxed);
    jump(DATA.as_ptr() as usize);
    black_box(());
}

/// Jumps to an address where nothing is mapped.
#[inline(never)]
pub(crate) fn jump_to_nowhere() {
    jump(0x1234_5678_9000);
    black_box(());
}

/// Jumps. Callers have something to do afterwards, so that their call is no jump and a backtrace shows them.
#[inline(never)]
fn jump(address: usize) {
    // SAFETY: none, the crash is the purpose: there is no code at the address.
    let function: extern "C" fn() = unsafe { core::mem::transmute(black_box(address)) };
    function();
    black_box(());
}

/// Writes to its own code, which is not writable.
#[inline(never)]
pub(crate) fn write_to_text() {
    let code = core::ptr::with_exposed_provenance_mut::<u8>(black_box(write_to_text as fn() as usize));
    // SAFETY: none, the crash is the purpose: code is read-only.
    unsafe { code.write_volatile(0xc3) };
}

/// Allocates until nothing is left.
#[inline(never)]
pub(crate) fn exhaust_heap() {
    let mut hoard = Vec::new();
    let size = usize::try_from(MIB).unwrap_or(0);
    loop {
        hoard.push(black_box(Vec::<u8>::with_capacity(size)));
    }
}
