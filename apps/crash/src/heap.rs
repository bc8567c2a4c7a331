//! What breaks the allocator's own books.
#![expect(unsafe_code, reason = "the crash is the purpose")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::AtomicU64;

/// A block's worth of memory that is not the heap's.
static FOREIGN: [AtomicU64; 8] = [const { AtomicU64::new(0x5a5a_5a5a_5a5a_5a5a) }; 8];

/// Frees one block twice, and uses the heap.
#[inline(never)]
pub(crate) fn free_twice() {
    let block = Box::into_raw(Box::new([black_box(7_u64); 8]));
    for _ in 0..2 {
        // SAFETY: none the second time, the crash is the purpose.
        drop(unsafe { Box::from_raw(black_box(block)) });
    }
    use_heap();
}

/// Frees what was never allocated, and uses the heap.
#[inline(never)]
pub(crate) fn free_foreign() {
    let block = black_box(FOREIGN.as_ptr()).cast_mut().cast::<[u64; 8]>();
    // SAFETY: none, the crash is the purpose.
    drop(unsafe { Box::from_raw(block) });
    use_heap();
}

/// Writes over what the allocator keeps between blocks, and uses the heap.
#[inline(never)]
pub(crate) fn overwrite() {
    let blocks: Vec<Box<[u8; 64]>> = (0..8).map(|_| Box::new([1; 64])).collect();
    let start = black_box(blocks[0].as_ptr().cast_mut());
    for offset in 64..4096 {
        // SAFETY: none, the crash is the purpose: the block ends at 64.
        let byte = unsafe { start.add(offset) };
        // SAFETY: as above.
        unsafe { byte.write_volatile(0xff) };
    }
    drop(blocks);
    use_heap();
}

/// Allocates and frees blocks of many sizes.
fn use_heap() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for size_bytes in (1..4096).step_by(61) {
        blocks.push(black_box(alloc::vec![0xa5; size_bytes]));
        if blocks.len() > 16 {
            blocks.swap_remove(size_bytes % 16);
        }
    }
    black_box(&blocks);
}
