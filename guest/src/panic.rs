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
    let _ = match info.location() {
        Some(location) if nested => write!(message, "panic in the panic message at {location}"),
        Some(location) => write!(message, "panic at {location}: {}", info.message()),
        None => write!(message, "panic: {}", info.message()),
    };
    message.send();
    hv::exit(GuestExit::Panic)
}

/// A message that goes out whole, in one call, without heap or locks.
struct Message(heapless::Vec<u8, MESSAGE_BYTES>);

impl Message {
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
