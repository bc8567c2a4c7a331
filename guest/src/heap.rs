//! The heap: Talc over the memory that the monitor set aside.
//!
//! It takes the memory at the first allocation, so an appliance that never allocates has no allocator in its image. The heap
//! does not grow: what does not fit ends the appliance with a panic, "memory allocation of N bytes failed".
#![expect(unsafe_code, reason = "gives memory to the allocator")]
#![expect(clippy::cast_possible_truncation, reason = "usize is 64 bits wide")]

use core::alloc::Layout;
use core::sync::atomic::{AtomicBool, Ordering};

use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// The allocator. `appliance!` makes it the program's: a host program that links this library keeps its own.
pub type Heap = TalcLock<spin::Mutex<()>, BootHeap>;

static CLAIMED: AtomicBool = AtomicBool::new(false);

/// A heap that has not yet claimed its memory. Of several, the first that allocates gets it.
#[must_use]
pub const fn new() -> Heap {
    TalcLock::new(BootHeap)
}

/// Where Talc gets its memory: what the boot information names, once.
#[derive(Debug)]
pub struct BootHeap;

// SAFETY: `acquire` uses the allocator only through the reference it is given, and allocates nothing itself.
unsafe impl Source for BootHeap {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, _layout: Layout) -> Result<(), ()> {
        let info = crate::boot::info().ok_or(())?;
        if CLAIMED.swap(true, Ordering::AcqRel) {
            return Err(());
        }
        let base = core::ptr::with_exposed_provenance_mut(info.heap_base as usize);
        // SAFETY: the monitor mapped these pages for the heap and for nothing else (hvcall::boot), and they are claimed once.
        let heap = unsafe { talc.claim(base, info.heap_bytes as usize) };
        heap.map(drop).ok_or(())
    }
}
