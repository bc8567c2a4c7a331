//! Boot information, kept where everything can read it.

use hvcall::BootInfo;

static BOOT: spin::Once<Boot> = spin::Once::new();

/// What the monitor handed over.
struct Boot {
    info: &'static BootInfo,
    arguments: &'static [u8],
}

/// Remembers the boot information and the arguments that follow it. The first call counts.
#[cfg_attr(not(ringwall_image), expect(dead_code, reason = "only an image is booted"))]
pub(crate) fn set(info: &'static BootInfo, arguments: &'static [u8]) {
    BOOT.call_once(|| Boot { info, arguments });
}

/// The boot information, or `None` before entry has stored it (and on the host).
pub fn info() -> Option<&'static BootInfo> {
    BOOT.get().map(|boot| boot.info)
}

/// The command line's arguments for the appliance: `ringwall run IMAGE -- ARGS`.
#[must_use]
pub fn args() -> Args {
    Args { rest: BOOT.get().map_or(&[], |boot| boot.arguments) }
}

/// Iterator over [`args`]. An argument that is not UTF-8 shows as U+FFFD, the replacement character.
#[derive(Clone, Debug)]
pub struct Args {
    /// Each argument ends in a NUL.
    rest: &'static [u8],
}

impl Iterator for Args {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == 0).unwrap_or(self.rest.len());
        let (argument, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some(core::str::from_utf8(argument).unwrap_or("\u{fffd}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &'static [u8]) -> Vec<&'static str> {
        Args { rest: bytes }.collect()
    }

    #[test]
    fn arguments_end_at_their_nul() {
        assert!(split(b"").is_empty());
        assert_eq!(split(b"one\0"), ["one"]);
        assert_eq!(split(b"one\0\0three\0"), ["one", "", "three"]);
        assert_eq!(split(b"unended"), ["unended"]);
    }

    #[test]
    fn an_argument_that_is_not_utf8_hides_no_other() {
        assert_eq!(split(b"\xff\0b\0"), ["\u{fffd}", "b"]);
    }
}
