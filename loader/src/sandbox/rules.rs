//! Building blocks of system-call filters: a call, and what its arguments must be.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use seccompiler::{BackendError, BpfProgram};

use super::compile::{Test, compile};

/// What one argument must be.
#[derive(Clone, Debug)]
pub(crate) struct Pin(heapless::Vec<Test, 2>);

impl Pin {
    fn of(tests: &[Test]) -> Self {
        Self(tests.iter().copied().collect())
    }
}

/// A 32-bit argument with this value. The kernel ignores the upper half of arguments that are `int`.
pub(crate) fn int(argument: u8, value: i32) -> Pin {
    Pin::of(&[Test::Equal { word: low(argument), value: value.cast_unsigned() }])
}

/// A descriptor, which is always the first argument here.
pub(crate) fn on(fd: RawFd) -> Pin {
    int(0, fd)
}

/// A 64-bit argument with this value.
pub(crate) fn word(argument: u8, value: u64) -> Pin {
    let [lower, upper] = halves(value);
    let upper = Test::Equal { word: low(argument) + 1, value: upper };
    Pin::of(&[upper, Test::Equal { word: low(argument), value: lower }])
}

/// A 64-bit argument of at most this value.
pub(crate) fn at_most(argument: u8, value: u64) -> Pin {
    match halves(value) {
        [most, 0] => {
            let upper = Test::Equal { word: low(argument) + 1, value: 0 };
            Pin::of(&[upper, Test::AtMost { word: low(argument), most }])
        }
        [lower, upper] => Pin::of(&[Test::PairAtMost { word: low(argument), lower, upper }]),
    }
}

/// A 32-bit argument without these bits.
pub(crate) fn without(argument: u8, bits: i32) -> Pin {
    Pin::of(&[Test::Without { word: low(argument), bits: bits.cast_unsigned() }])
}

/// Number of the word of `struct seccomp_data` that is an argument's lower half. The upper one is the next.
fn low(argument: u8) -> u32 {
    4 + 2 * u32::from(argument)
}

const fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// Which calls may be made, and how. All others kill the process.
#[derive(Debug, Default)]
pub(crate) struct Rules(BTreeMap<i64, Vec<Vec<Test>>>);

impl Rules {
    /// Allows a call with any arguments.
    pub(crate) fn any(&mut self, call: i64) {
        self.pinned(call, &[]);
    }

    /// Allows a call whose arguments are all as pinned, besides the ways in which it is allowed already.
    pub(crate) fn pinned(&mut self, call: i64, pins: &[Pin]) {
        let tests = pins.iter().flat_map(|pin| pin.0.iter().copied()).collect();
        self.0.entry(call).or_default().push(tests);
    }

    /// The filter's program, for this processor's native calls only.
    ///
    /// # Errors
    /// If the program would be too long.
    pub(crate) fn program(self) -> Result<BpfProgram, BackendError> {
        compile(&self.0)
    }
}
