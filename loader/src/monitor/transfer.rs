//! System calls that move bytes between descriptors and guest memory, on proven ranges.
//!
//! They are made without a C function around them. Each function that returns behind a system call cost 20 to 60 ns where that was
//! measured (AMD, kvm-pvm, Linux 6.18), as if the processor had forgotten where to return to, and a short frame leaves a quarter sooner
//! without them.
#![expect(unsafe_code, reason = "passes addresses of guest memory to system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use hvcall::planted;
use syscalls::{Errno, Sysno, syscall};

use super::memory::{Source, Target};

/// Writes from guest memory; returns how much went.
pub(super) fn write(fd: BorrowedFd<'_>, source: &Source) -> io::Result<usize> {
    writev(fd, &[], source)
}

/// Writes a header of the monitor's and then guest memory, as one message.
pub(super) fn writev(fd: BorrowedFd<'_>, header: &[u8], source: &Source) -> io::Result<usize> {
    let (base, len) = source.raw();
    let parts = [
        libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: header.len() },
        libc::iovec { iov_base: base.cast_mut().cast(), iov_len: len },
    ];
    // SAFETY: writev only reads: the header is borrowed, the guest range is proven readable.
    retry(|| unsafe { syscall!(Sysno::writev, fd.as_raw_fd(), parts.as_ptr(), 2) })
}

/// Reads one message: first into `header`, then into guest memory, and what is longer into `spill`.
pub(super) fn readv(
    fd: BorrowedFd<'_>,
    header: &mut [u8],
    target: &Target,
    spill: &mut [u8],
) -> io::Result<usize> {
    let (base, len) = target.raw();
    let parts = [
        libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: header.len() },
        libc::iovec { iov_base: base.cast(), iov_len: len },
        libc::iovec { iov_base: spill.as_mut_ptr().cast(), iov_len: spill.len() },
    ];
    // SAFETY: readv writes the borrowed header and spill and the guest range, which is proven writable.
    retry(|| unsafe { syscall!(Sysno::readv, fd.as_raw_fd(), parts.as_ptr(), 3) })
}

/// Reads at a position of a file into all of a guest range.
pub(super) fn read_at(fd: BorrowedFd<'_>, target: &Target, position: u64) -> io::Result<()> {
    whole(target.raw().1, |done| {
        let (base, len) = target.from_offset(done).raw();
        let at = position_of(position, done)?;
        // SAFETY: pread writes the rest of the guest range, which is proven writable.
        retry(|| unsafe { syscall!(Sysno::pread64, fd.as_raw_fd(), base, len, at) })
    })
}

/// Writes all of a guest range at a position of a file.
pub(super) fn write_at(fd: BorrowedFd<'_>, source: &Source, position: u64) -> io::Result<()> {
    let (base, len) = source.raw();
    whole(len, |done| {
        let at = position_of(position, done)?;
        // SAFETY: `done` is below `len`, so the rest starts within the guest range.
        let rest = unsafe { base.add(done) };
        // SAFETY: pwrite reads the rest of the guest range, which is proven readable.
        retry(|| unsafe { syscall!(Sysno::pwrite64, fd.as_raw_fd(), rest, len - done, at) })
    })
}

/// Repeats a transfer until all is done. One that moves nothing is the end of the file: an error here.
fn whole(size_bytes: usize, mut transfer: impl FnMut(usize) -> io::Result<usize>) -> io::Result<()> {
    let mut done = 0;
    while done < size_bytes {
        match transfer(done)? {
            0 if planted!(UnboundedLoop => false, true) => return Err(io::ErrorKind::UnexpectedEof.into()),
            moved => done += moved.min(size_bytes - done),
        }
    }
    Ok(())
}

fn position_of(position: u64, done: usize) -> io::Result<i64> {
    let at = position.checked_add(done as u64).and_then(|at| i64::try_from(at).ok());
    at.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Repeats a system call that a signal interrupted. All signals that the monitor takes are blocked, so this is rare.
#[inline]
fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result.map_err(|errno| io::Error::from_raw_os_error(errno.into_raw())),
        }
    }
}
