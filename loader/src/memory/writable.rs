//! The writable memory of a guest, of either kind.
#![expect(unsafe_code, reason = "copies out of guest memory")]

use std::ptr::NonNull;

use super::{AnonymousMemory, SharedMemory};

/// The guest's writable memory.
#[derive(Debug)]
pub enum WritableMemory {
    /// In this process only: a virtual machine's.
    Anonymous(AnonymousMemory),
    /// Mapped by the guest's process as well.
    Shared(SharedMemory),
}

impl From<AnonymousMemory> for WritableMemory {
    fn from(memory: AnonymousMemory) -> Self {
        Self::Anonymous(memory)
    }
}

impl From<SharedMemory> for WritableMemory {
    fn from(memory: SharedMemory) -> Self {
        Self::Shared(memory)
    }
}

impl WritableMemory {
    /// First byte.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        match self {
            Self::Anonymous(memory) => memory.base(),
            Self::Shared(memory) => memory.base(),
        }
    }

    /// Length.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        match self {
            Self::Anonymous(memory) => memory.size_bytes(),
            Self::Shared(memory) => memory.size_bytes(),
        }
    }

    /// A copy of `size_bytes` bytes at `offset`. For reports and tests, while the guest is stopped.
    ///
    /// # Panics
    /// If the range does not lie in the memory.
    #[must_use]
    pub fn copy_out(&self, offset: usize, size_bytes: usize) -> Vec<u8> {
        assert!(offset.checked_add(size_bytes).is_some_and(|end| end <= self.size_bytes()));
        let mut copy = vec![0; size_bytes];
        // SAFETY: `offset` is within the memory by the assertion.
        let source = unsafe { self.base().add(offset) };
        // SAFETY: the source range lies in the mapping by the assertion; the target is a fresh vector of that length.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), copy.as_mut_ptr(), size_bytes) };
        copy
    }
}
