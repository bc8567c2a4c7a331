//! Host memory that backs a guest: sealed for what never changes, anonymous or shared for the rest.

mod anonymous;
mod sealed;
mod shared;
mod writable;

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;

pub use anonymous::AnonymousMemory;
pub use sealed::SealedMemory;
pub use shared::SharedMemory;
pub use writable::WritableMemory;

/// A sealable memfd. `exec` is `EXEC` or `NOEXEC_SEAL`; kernels before 6.3 know neither, and there every memfd can be executed.
fn memfd(name: &str, exec: MemfdFlags) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(name, flags | exec) {
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
        result => Ok(result?),
    }
}
