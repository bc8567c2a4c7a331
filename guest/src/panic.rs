//! The end of an appliance that cannot go on: one message, then exit status 80.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use hvcall::GuestExit;

use crate::{console, hv};

/// Longest message. What formats itself without end is cut here.
const MESSAGE_BYTES: usize = 2048;

static PANICKING: AtomicBool = AtomicBool::new(false);

/// Reports a panic on the console and ends the appliance. A panic that comes up while the first is being reported, by a value
/// that cannot be formatted, is reported by its place alone.
pub fn report(info: &PanicInfo<'_>) -> ! {
    let nested = PANICKING.swap(true, Ordering::AcqRel);
    if !nested {
        console::try_flush();
    }
    let mut message = Message(heapless::Vec::new());
    // Fails when the message is full, and then holds as much as fits.
    let _ = message.describe(info, nested);
    message.send();
    hv::exit(GuestExit::Panic)
}

/// A message that goes out whole, in one call, without heap or locks.
struct Message(heapless::Vec<u8, MESSAGE_BYTES>);

impl Message {
    /// Text goes in without formatting, which in `core` can pad and cut it, and is as large as all the rest of a small appliance.
    fn describe(&mut self, info: &PanicInfo<'_>, nested: bool) -> fmt::Result {
        self.write_str(if nested { "panic in the panic message" } else { "panic" })?;
        if let Some(location) = info.location() {
            self.write_str(" at ")?;
            self.write_str(location.file())?;
            write!(self, ":{}:{}", location.line(), location.column())?;
        }
        if nested {
            return Ok(());
        }
        self.write_str(": ")?;
        match info.message().as_str() {
            Some(text) => self.write_str(text),
            None => write!(self, "{}", info.message()),
        }
    }

    fn send(mut self) {
        if self.0.push(b'\n').is_err()
            && let Some(last) = self.0.last_mut()
        {
            *last = b'\n';
        }
        console::send(&self.0);
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MESSAGE_BYTES - self.0.len();
        let (fits, rest) = text.as_bytes().split_at(room.min(text.len()));
        if self.0.extend_from_slice(fits).is_ok() && rest.is_empty() { Ok(()) } else { Err(fmt::Error) }
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        self.write_str(console::encode(character, &mut [0; 4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_endless_message_is_cut_and_still_ends_its_line() {
        let mut message = Message(heapless::Vec::new());
        while message.write_str("again and ").is_ok() {}
        message.send();
        let sent = testing::monitor(|monitor| monitor.console.concat());
        assert_eq!(sent.len(), MESSAGE_BYTES);
        assert!(sent.starts_with(b"again and again and "));
        assert!(sent.ends_with(b"\n"));
    }
}
