//! The console: bytes to a descriptor, made harmless on the way to a terminal.

use std::io::IoSlice;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use hvcall::Status;

use super::memory::Source;
use super::transfer;

/// Bytes escaped at a time.
const CHUNK_BYTES: usize = 1024;

/// Where the guest's text goes.
#[derive(Debug)]
pub struct Console {
    fd: OwnedFd,
    escape: bool,
}

impl Console {
    /// A console on `fd`. `escape` shows control characters instead of passing them on: for a terminal, whose state a hostile
    /// guest must not change.
    #[must_use]
    pub const fn new(fd: OwnedFd, escape: bool) -> Self {
        Self { fd, escape }
    }

    /// The descriptor's number, for the sandbox.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Writes text; returns how many of its bytes were taken.
    ///
    /// # Errors
    /// `IO` if none could be written.
    pub fn write(&self, text: &Source) -> Result<u64, Status> {
        if !self.escape {
            return transfer::write(self.fd.as_fd(), text).map(|taken| taken as u64).map_err(|_| Status::IO);
        }
        let mut chunk = [0; CHUNK_BYTES];
        text.copy_to(&mut chunk);
        let taken = text.raw().1.min(CHUNK_BYTES);
        let mut shown = heapless::Vec::<u8, { 4 * CHUNK_BYTES }>::new();
        for &byte in &chunk[..taken] {
            push_shown(&mut shown, byte);
        }
        let mut rest = shown.as_slice();
        while !rest.is_empty() {
            let written = rustix::io::writev(&self.fd, &[IoSlice::new(rest)]).map_err(|_| Status::IO)?;
            rest = &rest[written..];
        }
        Ok(taken as u64)
    }
}

/// Appends a byte as a terminal may see it: printable, newline, tab and UTF-8 bytes as they are, the rest as `\xNN`.
///
/// The C1 controls (0x80 to 0x9f) are no danger as bytes of UTF-8 text: terminals that read UTF-8 do not act on them.
fn push_shown<const N: usize>(shown: &mut heapless::Vec<u8, N>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let escaped = [b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
    let bytes: &[u8] = match byte {
        b'\n' | b'\t' | b' '..=b'~' | 0x80.. => std::slice::from_ref(&byte),
        _ => &escaped,
    };
    // There is room for four bytes per input byte, so this never fails.
    let _ = shown.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_sent() {
        let mut shown = heapless::Vec::<u8, 64>::new();
        for &byte in "a\x1b[2J\r\n\t\u{e9}\x07".as_bytes() {
            push_shown(&mut shown, byte);
        }
        assert_eq!(shown.as_slice(), "a\\x1b[2J\\x0d\n\t\u{e9}\\x07".as_bytes());
    }
}
