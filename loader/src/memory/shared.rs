//! Writable memory that a guest's process and its monitor both map: a memfd whose size is sealed.
#![expect(unsafe_code, reason = "maps memory")]

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};

/// Zeroed memory that can be mapped elsewhere too, for as long as its descriptor is open there.
#[derive(Debug)]
pub struct SharedMemory {
    base: NonNull<u8>,
    size_bytes: usize,
    file: OwnedFd,
}

impl SharedMemory {
    /// Reserves `size_bytes`, a whole number of pages. Pages cost nothing before they are touched.
    ///
    /// Its size can never change again, so no access of the monitor's ever meets the end of the file.
    ///
    /// # Errors
    /// What the host says.
    pub fn new(size_bytes: usize) -> io::Result<Self> {
        let file = super::memfd("ringwall-writable", MemfdFlags::NOEXEC_SEAL)?;
        rustix::fs::ftruncate(&file, size_bytes as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), size_bytes, access, MapFlags::SHARED, &file, 0)?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let memory = Self { base, size_bytes, file };
        // SAFETY: the range is the mapping made above; the advice keeps it out of core dumps and changes no content.
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

    /// What to map in the other process.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Copies `content` to `offset`.
    ///
    /// # Panics
    /// If it does not fit. Only for setting a machine up, with offsets from its own plan.
    pub fn fill(&mut self, offset: usize, content: &[u8]) {
        assert!(offset.checked_add(content.len()).is_some_and(|end| end <= self.size_bytes));
        // SAFETY: `offset` is within the memory by the assertion.
        let target = unsafe { self.base.add(offset) };
        // SAFETY: `content` fits behind `target` by the assertion, and nothing of Rust's overlaps this mapping.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), target.as_ptr(), content.len()) };
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size; whoever holds pointers into it owns `self` as well.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size_bytes) };
        debug_assert!(unmapped.is_ok());
    }
}
