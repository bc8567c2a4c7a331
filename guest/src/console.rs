//! The console: text out, one hypercall a line.
//!
//! What is printed collects in a fixed buffer until its line ends, the buffer is full, or the appliance is about to sleep or
//! end.

use core::fmt;

use spin::Mutex;

use crate::hv;

/// Longest line that is written in one piece.
const LINE_BYTES: usize = 512;

static LINE: Mutex<Line> = Mutex::new(Line { bytes: heapless::Vec::new() });

struct Line {
    bytes: heapless::Vec<u8, LINE_BYTES>,
}

impl Line {
    fn write(&mut self, text: &[u8]) {
        let ended = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let (lines, rest) = text.split_at(ended);
        if !lines.is_empty() {
            self.collect(lines);
            self.flush();
        }
        self.collect(rest);
    }

    fn collect(&mut self, text: &[u8]) {
        if self.bytes.extend_from_slice(text).is_err() {
            self.flush();
            for piece in text.chunks(LINE_BYTES) {
                if self.bytes.extend_from_slice(piece).is_err() {
                    self.flush();
                    send(piece);
                }
            }
        }
    }

    fn flush(&mut self) {
        send(&self.bytes);
        self.bytes.clear();
    }
}

/// Writes all of `bytes` now, past the buffer. A console that is gone takes nothing, and nobody could be told.
pub(crate) fn send(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match hv::console_write(bytes) {
            Ok(taken @ 1..) => bytes = bytes.get(taken..).unwrap_or_default(),
            Ok(0) | Err(_) => return,
        }
    }
}

/// Writes `text` to the console.
pub fn write(text: &[u8]) {
    LINE.lock().write(text);
}

/// Writes what is left of an unfinished line.
pub fn flush() {
    LINE.lock().flush();
}

/// As [`flush`], unless the buffer is in use: for the end of a panic that may have come from anywhere.
pub(crate) fn try_flush() {
    if let Some(mut line) = LINE.try_lock() {
        line.flush();
    }
}

/// The console as a target of `write!`.
#[derive(Clone, Copy, Debug)]
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The lock is held for one piece of text at a time, never while a value formats itself: it may print, too.
        write(text.as_bytes());
        Ok(())
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        self.write_str(encode(character, &mut [0; 4]))
    }
}

/// A character as UTF-8: once for all targets of `write!`, where the trait's own method would be a copy for each.
#[inline(never)]
pub(crate) fn encode(character: char, room: &mut [u8; 4]) -> &str {
    character.encode_utf8(room)
}

/// Writes formatted text: what `print!` expands to.
#[doc(hidden)]
pub fn print(text: fmt::Arguments<'_>) {
    // `Console` does not fail. A value whose formatting fails has printed what it could.
    let _ = fmt::Write::write_fmt(&mut Console, text);
}

/// Prints to the console, as the macro of the same name in `std`.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(::core::format_args!($($argument)*)) };
}

/// Prints a line to the console, as the macro of the same name in `std`.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($argument:tt)+) => {
        $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($argument)+)))
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Each test has a buffer of its own: the static one is shared by all test threads.
    fn console_after(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut line = Line { bytes: heapless::Vec::new() };
        for piece in pieces {
            line.write(piece);
        }
        line.flush();
        testing::monitor(|monitor| core::mem::take(&mut monitor.console))
    }

    #[test]
    fn a_line_in_pieces_is_one_call() {
        assert_eq!(console_after(&[b"a ", b"b", b" c\n"]), [b"a b c\n"]);
    }

    #[test]
    fn several_lines_at_once_are_one_call_and_the_rest_waits() {
        assert_eq!(console_after(&[b"a\nb\nc"]), [&b"a\nb\n"[..], b"c"]);
    }

    #[test]
    fn long_text_arrives_whole_and_in_order() {
        let text: Vec<u8> = (b'a'..=b'z').cycle().take(5000).collect();
        for split in [1, 100, LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, 5000] {
            let pieces: Vec<&[u8]> = text.chunks(split).collect();
            assert_eq!(console_after(&pieces).concat(), text, "pieces of {split}");
        }
    }

    #[test]
    fn nothing_is_no_call() {
        assert!(console_after(&[b""]).is_empty());
    }
}
