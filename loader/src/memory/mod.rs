//! Host memory that backs a guest: sealed for what never changes, writable for the rest.

mod mapping;
mod sealed;
mod writable;

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

pub use mapping::Mapping;
pub use sealed::SealedMemory;
pub use writable::WritableMemory;

/// No seal more than these can be added.
const SIZE_SEALS: SealFlags = SealFlags::GROW.union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// A sealable memfd of this size. `exec` is `EXEC` or `NOEXEC_SEAL`; kernels before 6.3 know neither, and there every memfd can be
/// executed.
fn memfd(name: &str, size_bytes: usize, exec: MemfdFlags) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match rustix::fs::memfd_create(name, flags | exec) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        result => result?,
    };
    rustix::fs::ftruncate(&file, size_bytes as u64)?;
    Ok(file)
}
