//! Writable memory: anonymous, zero at first, with inaccessible pages before and behind it.
#![expect(unsafe_code, reason = "maps memory")]

use std::io;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use crate::address::{LARGE_PAGE_BYTES, index};

/// Bytes of each inaccessible zone.
const GUARD_BYTES: usize = 64 * 1024;

/// Zeroed private memory whose first byte lies on a large page boundary.
#[derive(Debug)]
pub struct AnonymousMemory {
    base: NonNull<u8>,
    size_bytes: usize,
    whole: NonNull<u8>,
    whole_bytes: usize,
}

impl AnonymousMemory {
    /// Reserves `size_bytes`, a whole number of pages. Pages cost nothing before they are touched.
    ///
    /// # Errors
    /// What the host says.
    pub fn new(size_bytes: usize) -> io::Result<Self> {
        let large = index(LARGE_PAGE_BYTES);
        let whole_bytes =
            size_bytes.checked_add(2 * GUARD_BYTES + large).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let whole = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), whole_bytes, ProtFlags::empty(), flags)?
        };
        let whole: NonNull<u8> = NonNull::new(whole.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let skip = GUARD_BYTES + (whole.addr().get() + GUARD_BYTES).next_multiple_of(large)
            - (whole.addr().get() + GUARD_BYTES);
        // SAFETY: `skip` is below `GUARD_BYTES + large`, and the mapping is longer than that by `size_bytes + GUARD_BYTES`.
        let base = unsafe { whole.add(skip) };
        let memory = Self { base, size_bytes, whole, whole_bytes };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range is part of the mapping made above, which nothing refers to yet.
        unsafe { rustix::mm::mprotect(base.as_ptr().cast(), size_bytes, access)? };
        // SAFETY: as above; the advice keeps guest memory out of core dumps and changes no content.
        unsafe { rustix::mm::madvise(base.as_ptr().cast(), size_bytes, Advice::LinuxDontDump)? };
        Ok(memory)
    }

    /// First byte.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Copies `content` to `offset`.
    ///
    /// # Panics
    /// If it does not fit. Only for setting a machine up, with offsets from its own plan.
    pub fn fill(&mut self, offset: usize, content: &[u8]) {
        assert!(offset.checked_add(content.len()).is_some_and(|end| end <= self.size_bytes));
        // SAFETY: `offset` is within the memory by the assertion.
        let target = unsafe { self.base.add(offset) };
        // SAFETY: `content` fits behind `target` by the assertion, and this private mapping does not overlap it.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), target.as_ptr(), content.len()) };
    }

    /// All of it as words, to build page tables in place.
    #[must_use]
    pub fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: the mapping is that long, aligned to a large page, readable and writable, and lives as long as `self`, which
        // is borrowed exclusively. A guest that could touch it runs only later, when this borrow has ended.
        unsafe {
            std::slice::from_raw_parts_mut(self.base.as_ptr().cast(), self.size_bytes / size_of::<u64>())
        }
    }

    /// A copy of `size_bytes` bytes at `offset`. For reports and tests.
    ///
    /// # Panics
    /// If the range does not lie in the memory.
    #[must_use]
    pub fn copy_out(&self, offset: usize, size_bytes: usize) -> Vec<u8> {
        assert!(offset.checked_add(size_bytes).is_some_and(|end| end <= self.size_bytes));
        let mut copy = vec![0; size_bytes];
        // SAFETY: `offset` is within the memory by the assertion.
        let source = unsafe { self.base.add(offset) };
        // SAFETY: the source range lies in the mapping by the assertion; the target is a fresh vector of that length.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), copy.as_mut_ptr(), size_bytes) };
        copy
    }
}

impl Drop for AnonymousMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size; whoever holds pointers into it owns `self` as well.
        let unmapped = unsafe { rustix::mm::munmap(self.whole.as_ptr().cast(), self.whole_bytes) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_and_on_a_large_page_boundary() {
        let mut memory = AnonymousMemory::new(3 * 4096).unwrap();
        assert!(memory.base().addr().get().is_multiple_of(index(LARGE_PAGE_BYTES)));
        assert_eq!(memory.copy_out(0, 3 * 4096), vec![0; 3 * 4096]);
        memory.fill(3 * 4096 - 2, &[1, 2]);
        assert_eq!(memory.copy_out(3 * 4096 - 3, 3), [0, 1, 2]);
    }
}
