//! Memory sizes as people write them.

/// Parses `64M`, `1G`, `512K` or a plain number of bytes. Units are powers of 1024; a trailing `iB` or `B` is accepted.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let fail = || format!("`{text}` is not a size: write for example 64M, 1G or 1048576");
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, unit) = match number.char_indices().next_back().ok_or_else(fail)? {
        (at, 'k') => (&number[..at], 1 << 10),
        (at, 'm') => (&number[..at], 1 << 20),
        (at, 'g') => (&number[..at], 1 << 30),
        _ => (number, 1_u64),
    };
    digits.parse::<u64>().ok().and_then(|value| value.checked_mul(unit)).ok_or_else(fail)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in
            [("4096", 4096), ("64K", 65_536), ("16m", 1 << 24), ("1GiB", 1 << 30), ("2MB", 1 << 21)]
        {
            assert_eq!(parse(text), Ok(bytes));
        }
        for text in ["", "M", "-1", "1T", "1.5G", "99999999999999999999", "18446744073709551615K"] {
            assert!(parse(text).unwrap_err().contains("is not a size"), "{text}");
        }
    }
}
