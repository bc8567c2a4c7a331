//! What a connection holds on to: little while it waits, and never more than a fixed amount.

use alloc::vec;
use alloc::vec::Vec;

use crate::head::MAX_HEAD_BYTES;

/// Size of each buffer of a waiting connection.
pub(crate) const IDLE_BYTES: usize = 2 * 1024;
/// Bytes that have arrived and are not yet consumed.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; IDLE_BYTES], start: 0, end: 0 }
    }

    /// Everything unconsumed.
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `count` bytes, at most all of them, off the front, and says how many.
    pub(crate) fn consume(&mut self, count: usize) -> usize {
        let taken = count.min(self.end - self.start);
        self.start += taken;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > IDLE_BYTES {
                self.bytes = vec![0; IDLE_BYTES];
            }
        }
        taken
    }

    /// Room for more bytes. Empty only if [`MAX_HEAD_BYTES`] are unread.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else if self.end < MAX_HEAD_BYTES {
                self.bytes.resize((2 * self.end).min(MAX_HEAD_BYTES), 0);
            }
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Notes that `count` bytes of [`Self::room`] were filled.
    pub(crate) fn advance(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_grows_to_one_head_and_shrinks_when_consumed() {
        let mut input = Input::new();
        while !input.room().is_empty() {
            let room = input.room().len();
            input.advance(room);
        }
        assert_eq!(input.unread().len(), MAX_HEAD_BYTES);
        assert_eq!(input.consume(MAX_HEAD_BYTES - 1), MAX_HEAD_BYTES - 1);
        assert_eq!(input.room().len(), MAX_HEAD_BYTES - 1);
        assert_eq!(input.consume(7), 1);
        assert_eq!(input.bytes.len(), IDLE_BYTES);
    }

    #[test]
    fn room_keeps_what_is_unread() {
        let mut input = Input::new();
        for byte in (0..=250).cycle().take(IDLE_BYTES) {
            input.room()[0] = byte;
            input.advance(1);
        }
        input.consume(1000);
        let unread = input.unread().to_vec();
        assert_eq!(input.room().len(), 1000);
        assert_eq!(input.unread(), unread);
    }
}
