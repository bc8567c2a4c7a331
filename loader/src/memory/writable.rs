//! Writable memory: zero at first, and costs nothing before it is touched.
#![expect(unsafe_code, reason = "views memory that no guest can touch yet as words")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::mm::ProtFlags;

use super::Mapping;

/// Writable memory of a guest, or of its machine.
#[derive(Debug)]
pub struct WritableMemory {
    mapping: Mapping,
    file: Option<OwnedFd>,
}

impl WritableMemory {
    /// `size_bytes`, a whole number of pages, of this process alone: for a virtual machine.
    ///
    /// # Errors
    /// What the host says.
    pub fn private(size_bytes: usize) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::private(size_bytes)?.without_dump()?, file: None })
    }

    /// `size_bytes`, a whole number of pages, that a guest's process can map as well. Its size can never change again, so no access
    /// of the monitor's ever meets the end of the file.
    ///
    /// # Errors
    /// What the host says.
    pub fn shared(size_bytes: usize) -> io::Result<Self> {
        let file = super::memfd("ringwall-writable", size_bytes, MemfdFlags::NOEXEC_SEAL)?;
        rustix::fs::fcntl_add_seals(&file, super::SIZE_SEALS)?;
        let mapping = Mapping::of_file(&file, size_bytes, ProtFlags::READ | ProtFlags::WRITE)?;
        Ok(Self { mapping: mapping.without_dump()?, file: Some(file) })
    }

    /// What to map in the guest's process, if it is shared.
    #[must_use]
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(OwnedFd::as_fd)
    }

    /// Copies `content` to `offset`. Only for setting a machine up, with offsets from its own plan.
    ///
    /// # Panics
    /// If it does not fit.
    pub fn fill(&mut self, offset: usize, content: &[u8]) {
        self.mapping.fill(offset, content);
    }

    /// All of it as words, to build page tables in place.
    #[must_use]
    pub fn words_mut(&mut self) -> &mut [u64] {
        let words = self.size_bytes() / size_of::<u64>();
        // SAFETY: the mapping is that long, aligned to a page, readable and writable, and lives as long as `self`, which is
        // borrowed exclusively. A guest that could touch it runs only later, when this borrow has ended.
        unsafe { std::slice::from_raw_parts_mut(self.base().as_ptr().cast(), words) }
    }
}

impl Deref for WritableMemory {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{LARGE_PAGE_BYTES, index};

    #[test]
    fn memory_is_zero_and_holds_what_is_put_there() {
        for mut memory in
            [WritableMemory::private(3 * 4096).unwrap(), WritableMemory::shared(3 * 4096).unwrap()]
        {
            assert_eq!(memory.copy_out(0, 3 * 4096), vec![0; 3 * 4096]);
            memory.fill(3 * 4096 - 2, &[1, 2]);
            assert_eq!(memory.copy_out(3 * 4096 - 3, 3), [0, 1, 2]);
        }
    }

    #[test]
    fn private_memory_lies_on_a_large_page_boundary() {
        let memory = WritableMemory::private(4096).unwrap();
        assert!(memory.base().addr().get().is_multiple_of(index(LARGE_PAGE_BYTES)));
        assert!(memory.file().is_none());
    }

    #[test]
    fn shared_memory_keeps_its_size() {
        let memory = WritableMemory::shared(4096).unwrap();
        assert_eq!(rustix::fs::ftruncate(memory.file().unwrap(), 0), Err(rustix::io::Errno::PERM));
    }
}
