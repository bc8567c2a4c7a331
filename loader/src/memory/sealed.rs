//! Read-only guest memory: a memfd that is filled, sealed and only then mapped.
//!
//! After `F_SEAL_WRITE` the kernel refuses every writable mapping and every write, to this process too
//! (fcntl(2), "File sealing"), so the guest's text and constants cannot change while the machine lives.
#![expect(unsafe_code, reason = "views sealed memory as bytes")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::ProtFlags;

use super::Mapping;

/// A sealed, mapped memfd.
#[derive(Debug)]
pub struct SealedMemory {
    mapping: Mapping,
    file: OwnedFd,
}

impl SealedMemory {
    /// Writes `pieces`, each at its offset, into a new memfd of `size_bytes`, a whole number of pages; seals it and maps it
    /// read-only. What no piece covers is zero.
    ///
    /// # Errors
    /// What the host says.
    pub fn new<'a>(size_bytes: usize, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) -> io::Result<Self> {
        // The guest's process maps its code from here. A virtual machine executes it all the same, whatever the file's mode.
        let file = super::memfd("ringwall-sealed", size_bytes, MemfdFlags::EXEC)?;
        for (offset, piece) in pieces {
            write_at(&file, offset, piece)?;
        }
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | super::SIZE_SEALS)?;
        Ok(Self { mapping: Mapping::of_file(&file, size_bytes, ProtFlags::READ)?, file })
    }

    /// What to map in the guest's process.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is that long, readable, lives as long as `self`, and its seals keep everybody from writing it.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr(), self.size_bytes()) }
    }

    /// The seals that the kernel reports.
    ///
    /// # Errors
    /// What the host says.
    pub fn seals(&self) -> io::Result<SealFlags> {
        Ok(rustix::fs::fcntl_get_seals(&self.file)?)
    }
}

impl Deref for SealedMemory {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

fn write_at(file: &OwnedFd, mut offset: u64, mut piece: &[u8]) -> io::Result<()> {
    while !piece.is_empty() {
        let taken = rustix::io::pwrite(file, piece, offset)?;
        piece = &piece[taken..];
        offset += taken as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_map_or_write_sealed_memory() {
        let memory = SealedMemory::new(8192, [(1, [7; 8190].as_slice())]).unwrap();
        assert_eq!(memory.bytes()[1..8191], [7; 8190]);
        assert_eq!((memory.bytes()[0], memory.bytes()[8191]), (0, 0));
        assert!(memory.seals().unwrap().contains(SealFlags::WRITE | SealFlags::SEAL | SealFlags::SHRINK));
        assert_eq!(rustix::io::pwrite(&memory.file, &[1], 0), Err(rustix::io::Errno::PERM));
        let writable = Mapping::of_file(&memory.file, 4096, ProtFlags::READ | ProtFlags::WRITE);
        assert_eq!(writable.unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
