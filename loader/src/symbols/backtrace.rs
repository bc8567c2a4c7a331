//! A backtrace as text.

use std::fmt::Write as _;

use super::{Location, Symbols};

/// Width of `  0: 0x0000000000004321 `, which inlined callers are set in by.
const INDENT: usize = 24;

/// Formats a backtrace, innermost frame first, each line ended by a newline:
///
/// ```text
///   0: 0x0000000000004321 crash::null_read at apps/crash/src/main.rs:17
///   1: 0x0000000000004007 crash::main at apps/crash/src/main.rs:9
/// ```
/// `frames` are image offsets. The first is the interrupted instruction. The others are return addresses, which point behind
/// their call, so they are looked up one byte earlier. Without symbols, and for offsets outside every known function, only
/// the offset is shown.
#[must_use]
pub fn format_backtrace(symbols: Option<&Symbols>, frames: &[u64]) -> String {
    let lookups: Vec<u64> =
        frames.iter().enumerate().map(|(index, &frame)| frame.saturating_sub(u64::from(index > 0))).collect();
    let resolved = symbols.map(|symbols| symbols.resolve(&lookups)).unwrap_or_default();
    let mut text = String::new();
    let mut repeated = 0;
    for (index, frame) in frames.iter().enumerate() {
        // A deep recursion is one line and a count. The first frame is looked up in another way than the rest.
        if index > 1 && frames[index - 1] == *frame {
            repeated += 1;
            if frames.get(index + 1) != Some(frame) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "     the same {repeated} times more");
                repeated = 0;
            }
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{index:3}: {frame:#018x}");
        match resolved.get(index).map(Vec::as_slice) {
            Some([innermost, callers @ ..]) => {
                let _ = writeln!(text, " {}", describe(innermost));
                for caller in callers {
                    let _ = writeln!(text, "{:INDENT$}{}", "", describe(caller));
                }
            }
            Some([]) | None => text.push_str(" ?\n"),
        }
    }
    text
}

fn describe(location: &Location) -> String {
    let mut text = location.function.clone();
    if location.inlined {
        text.push_str(" (inlined)");
    }
    if let Some(file) = &location.file {
        let _ = write!(text, " at {file}");
        if let Some(line) = location.line {
            let _ = write!(text, ":{line}");
        }
    }
    text
}
