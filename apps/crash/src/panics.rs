//! Panics whose message is worse than what they tell of.
#![expect(clippy::panic, reason = "the panic is the purpose")]

use core::fmt::{self, Display, Formatter};
use core::hint::black_box;

/// Panics when it is formatted.
struct Panics;

impl Display for Panics {
    fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
        panic!("while a panic is told")
    }
}

/// Formats itself in itself.
struct Recursion(u64);

impl Display for Recursion {
    #[expect(unconditional_recursion, reason = "the crash is the purpose")]
    #[expect(clippy::only_used_in_recursion, reason = "recursion is all that this is for")]
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let frame = black_box([self.0; 64]);
        let done = Recursion(frame[0].wrapping_add(1)).fmt(formatter);
        black_box(frame);
        done
    }
}

/// Has no end.
struct Endless;

impl Display for Endless {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        loop {
            formatter.write_str("on and on and ")?;
        }
    }
}

/// Panics while a panic is being told.
#[inline(never)]
pub(crate) fn panic_in_panic() {
    panic!("{Panics}");
}

/// Panics with a message that uses the stack up.
#[inline(never)]
pub(crate) fn recurse() {
    panic!("{}", Recursion(black_box(0)));
}

/// Panics with a message that has no end.
#[inline(never)]
pub(crate) fn panic_without_end() {
    panic!("{Endless}");
}
