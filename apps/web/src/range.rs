//! `Range`: one part of a body (RFC 9110, section 14).

use core::ops::Range;

/// What a `Range` field asks of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything: the field is not understood, or asks for several parts.
    Whole,
    /// These bytes; never empty, and within the body.
    Bytes(Range<usize>),
    /// Nothing that the body has.
    Unsatisfiable,
}

/// Reads a `Range` field for a body of `size_bytes`.
#[must_use]
pub(crate) fn part(field: &[u8], size_bytes: usize) -> Part {
    parse(field, size_bytes).unwrap_or(Part::Whole)
}

fn parse(field: &[u8], size_bytes: usize) -> Option<Part> {
    let (unit, set) = field.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let set = set.trim_ascii();
    let dash = set.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (set.get(..dash)?, set.get(dash + 1..)?);
    let bytes = match (first, last) {
        ([], last) => size_bytes.saturating_sub(number(last)?)..size_bytes,
        (first, []) => number(first)?..size_bytes,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size_bytes)
        }
    };
    Some(if bytes.start < bytes.end { Part::Bytes(bytes) } else { Part::Unsatisfiable })
}

/// A decimal number; one that does not fit counts as the largest.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_usize, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        Some(value.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_a_ten_byte_body() {
        let huge = "bytes=0-99999999999999999999999999";
        let table: &[(&str, Part)] = &[
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=0-9", Part::Bytes(0..10)),
            ("bytes=0-10", Part::Bytes(0..10)),
            (huge, Part::Bytes(0..10)),
            ("bytes=9-9", Part::Bytes(9..10)),
            ("bytes=9-", Part::Bytes(9..10)),
            ("bytes=0-", Part::Bytes(0..10)),
            ("bytes=-1", Part::Bytes(9..10)),
            ("bytes=-10", Part::Bytes(0..10)),
            ("bytes=-11", Part::Bytes(0..10)),
            ("BYTES= 2-3 ", Part::Bytes(2..4)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=10-10", Part::Unsatisfiable),
            ("bytes=99999999999999999999999999-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=1-2-3", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("byte=0-1", Part::Whole),
            ("items=0-1", Part::Whole),
            ("", Part::Whole),
        ];
        for (field, expected) in table {
            assert_eq!(part(field.as_bytes(), 10), *expected, "{field}");
        }
    }

    #[test]
    fn an_empty_body_satisfies_nothing() {
        for field in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(part(field.as_bytes(), 0), Part::Unsatisfiable, "{field}");
        }
    }

    #[test]
    fn every_part_lies_within_the_body() {
        for size in 0..12 {
            for first in 0..14 {
                for last in 0..14 {
                    let field = std::format!("bytes={first}-{last}");
                    if let Part::Bytes(range) = part(field.as_bytes(), size) {
                        assert!(range.start < range.end && range.end <= size, "{field} of {size}: {range:?}");
                        assert_eq!(range, first..(last + 1).min(size));
                    }
                }
            }
        }
    }
}
