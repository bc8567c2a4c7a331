//! HTTP dates (RFC 9110, section 5.6.7), as `Sun, 06 Nov 1994 08:49:37 GMT`.
//!
//! The build script includes this file too: `Date` and `Last-Modified` come from the same code.

/// Length of an HTTP date.
pub(crate) const DATE_BYTES: usize = 29;

/// The date `unix_seconds` after 1970-01-01 UTC. Dates behind the year 9999 become the epoch.
pub(crate) fn http_date(unix_seconds: u64) -> [u8; DATE_BYTES] {
    const DAYS: &[u8] = b"SunMonTueWedThuFriSat";
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let moment = i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let mut date = *b"Day, 00 Mon 0000 00:00:00 GMT";
    let day_name = 3 * usize::from(moment.weekday().number_days_from_sunday());
    let month_name = 3 * (usize::from(u8::from(moment.month())) - 1);
    date[..3].copy_from_slice(&DAYS[day_name..day_name + 3]);
    date[8..11].copy_from_slice(&MONTHS[month_name..month_name + 3]);
    let year = u16::try_from(moment.year()).unwrap_or_default();
    decimal(&mut date[5..7], moment.day().into());
    decimal(&mut date[12..16], year);
    decimal(&mut date[17..19], moment.hour().into());
    decimal(&mut date[20..22], moment.minute().into());
    decimal(&mut date[23..25], moment.second().into());
    date
}

fn decimal(place: &mut [u8], mut value: u16) {
    for byte in place.iter_mut().rev() {
        *byte = b"0123456789"[usize::from(value % 10)];
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let table = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ];
        for (seconds, expected) in table {
            assert_eq!(core::str::from_utf8(&http_date(seconds)).unwrap(), expected);
        }
    }
}
