//! A range of addresses that is mapped until it is dropped.
#![expect(unsafe_code, reason = "maps memory, and copies into it and out of it")]

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use crate::address::{LARGE_PAGE_BYTES, index};

/// Bytes of each inaccessible zone around private memory.
const GUARD_BYTES: usize = 64 * 1024;

/// Mapped memory, with what is reserved around it. All of its bytes can be read; who makes it knows whether they can be written.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    size_bytes: usize,
    whole: NonNull<u8>,
    whole_bytes: usize,
}

impl Mapping {
    /// The first `size_bytes` of a file, shared with whoever else maps it, wherever the kernel has room.
    pub(super) fn of_file(file: impl AsFd, size_bytes: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), size_bytes, access, MapFlags::SHARED, file, 0)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, size_bytes, whole: base, whole_bytes: size_bytes })
    }

    /// Zeroed memory of this process alone, whose first byte lies on a large page boundary, with inaccessible pages before and
    /// behind it.
    pub(super) fn private(size_bytes: usize) -> io::Result<Self> {
        let large = index(LARGE_PAGE_BYTES);
        let whole_bytes =
            size_bytes.checked_add(2 * GUARD_BYTES + large).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let whole = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), whole_bytes, ProtFlags::empty(), flags)?
        };
        let whole: NonNull<u8> = NonNull::new(whole.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let first = whole.addr().get() + GUARD_BYTES;
        let skip = GUARD_BYTES + first.next_multiple_of(large) - first;
        // SAFETY: `skip` is below `GUARD_BYTES + large`, and the mapping is longer than that by `size_bytes + GUARD_BYTES`.
        let base = unsafe { whole.add(skip) };
        let mapping = Self { base, size_bytes, whole, whole_bytes };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range is part of the mapping made above, which nothing refers to yet.
        unsafe { rustix::mm::mprotect(base.as_ptr().cast(), size_bytes, access)? };
        Ok(mapping)
    }

    /// Keeps the memory out of core dumps.
    pub(super) fn without_dump(self) -> io::Result<Self> {
        let Self { base, size_bytes, .. } = self;
        // SAFETY: the range is this mapping's; the advice changes no content.
        unsafe { rustix::mm::madvise(base.as_ptr().cast(), size_bytes, Advice::LinuxDontDump)? };
        Ok(self)
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

    /// Copies `content` to `offset` of memory that can be written.
    ///
    /// # Panics
    /// If it does not fit.
    pub(super) fn fill(&mut self, offset: usize, content: &[u8]) {
        let target = self.at(offset, content.len());
        // SAFETY: `content` fits behind `target`, and nothing of Rust's overlaps a mapping.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), target.as_ptr(), content.len()) };
    }

    /// A copy of `size_bytes` bytes at `offset`. For reports and tests, while the guest is stopped.
    ///
    /// # Panics
    /// If the range does not lie in the memory.
    #[must_use]
    pub fn copy_out(&self, offset: usize, size_bytes: usize) -> Vec<u8> {
        let mut copy = vec![0; size_bytes];
        self.copy_to(offset, &mut copy);
        copy
    }

    /// Copies what lies at `offset` to all of `copy`, while the guest is stopped.
    ///
    /// # Panics
    /// If the range does not lie in the memory.
    pub fn copy_to(&self, offset: usize, copy: &mut [u8]) {
        let source = self.at(offset, copy.len());
        // SAFETY: that many bytes lie behind `source`; nothing of Rust's overlaps a mapping.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), copy.as_mut_ptr(), copy.len()) };
    }

    /// Whether `content` is what lies at `offset`, while the guest is stopped.
    ///
    /// # Panics
    /// If the range does not lie in the memory.
    #[must_use]
    pub fn holds(&self, offset: usize, content: &[u8]) -> bool {
        let here = self.at(offset, content.len());
        // SAFETY: that many bytes lie behind `here`, and nobody writes them while they are compared.
        let here = unsafe { std::slice::from_raw_parts(here.as_ptr(), content.len()) };
        here == content
    }

    /// Where the `size_bytes` bytes at `offset` begin.
    fn at(&self, offset: usize, size_bytes: usize) -> NonNull<u8> {
        assert!(offset.checked_add(size_bytes).is_some_and(|end| end <= self.size_bytes));
        // SAFETY: `offset` is within the memory by the assertion.
        unsafe { self.base.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this size; whoever holds pointers into it owns `self` as well.
        let unmapped = unsafe { rustix::mm::munmap(self.whole.as_ptr().cast(), self.whole_bytes) };
        debug_assert!(unmapped.is_ok());
    }
}
