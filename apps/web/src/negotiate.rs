//! `Accept-Encoding`: which variant of a file a client gets (RFC 9110, section 12.5.3).

use crate::site::{File, Variant};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// The bytes themselves.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// The name in `Content-Encoding`.
    #[must_use]
    pub(crate) const fn token(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

/// What a client said about each coding, in thousandths. `None`: nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    identity: Option<u16>,
    gzip: Option<u16>,
    brotli: Option<u16>,
    any: Option<u16>,
}

impl Weights {
    fn read<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut weights = Self::default();
        for item in fields.flat_map(|field| field.split(|&byte| byte == b',')) {
            let mut parts = item.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let slot = match () {
                () if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                    &mut weights.gzip
                }
                () if name.eq_ignore_ascii_case(b"br") => &mut weights.brotli,
                () if name.eq_ignore_ascii_case(b"identity") => &mut weights.identity,
                () if name == b"*" => &mut weights.any,
                () => continue,
            };
            // A weight that cannot be read counts as a refusal: the identity is always safe to send.
            *slot = Some(parts.next().map_or(1000, |weight| thousandths(weight).unwrap_or(0)));
        }
        weights
    }

    /// Weight of a coding. The identity is acceptable unless refused, but less than anything asked for by name.
    fn of(self, coding: Coding) -> u16 {
        match coding {
            Coding::Identity => self.identity.or(self.any.filter(|&weight| weight == 0)).unwrap_or(1),
            Coding::Gzip => self.gzip.or(self.any).unwrap_or(0),
            Coding::Brotli => self.brotli.or(self.any).unwrap_or(0),
        }
    }
}

/// `q=0.25` as 250.
fn thousandths(weight: &[u8]) -> Option<u16> {
    let digits = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="))?;
    let (whole, fraction) = digits.split_at_checked(1)?;
    let fraction = match fraction {
        [] => fraction,
        [b'.', rest @ ..] if rest.len() <= 3 => rest,
        _ => return None,
    };
    let mut value = match whole {
        b"0" => 0_u16,
        b"1" => 1,
        _ => return None,
    };
    for place in 0..3 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        value = value * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (value <= 1000).then_some(value)
}

/// The variant a client likes best; of those it likes equally, the smallest. The identity if it likes none: an answer that
/// may be readable serves better than a 406.
#[must_use]
pub(crate) fn negotiate<'a>(file: &'static File, fields: impl Iterator<Item = &'a [u8]>) -> &'static Variant {
    if file.compressed.is_empty() {
        return &file.identity;
    }
    let weights = Weights::read(fields);
    let mut best = (&file.identity, weights.of(Coding::Identity));
    for variant in file.compressed {
        let weight = weights.of(variant.coding);
        let is_smaller = variant.body.len() < best.0.body.len();
        if weight > 0 && (weight > best.1 || (weight == best.1 && is_smaller)) {
            best = (variant, weight);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn variant(coding: Coding, body: &'static [u8]) -> Variant {
        Variant { coding, etag: "\"\"", body }
    }

    static FILE: File = File {
        content_type: "text/plain",
        is_document: false,
        identity: variant(Coding::Identity, b"identity"),
        compressed: &[variant(Coding::Gzip, b"gzip"), variant(Coding::Brotli, b"br")],
    };

    #[test]
    fn weights_choose_the_coding() {
        let table: &[(&[&str], Coding)] = &[
            (&[], Coding::Identity),
            (&[""], Coding::Identity),
            (&["gzip"], Coding::Gzip),
            (&["GZIP"], Coding::Gzip),
            (&["x-gzip"], Coding::Gzip),
            (&["br"], Coding::Brotli),
            (&["gzip, deflate, br, zstd"], Coding::Brotli),
            (&["gzip", "br"], Coding::Brotli),
            (&["gzip;q=1.0, br;q=0.9"], Coding::Gzip),
            (&["gzip ; q=0.5 , br;Q=0.8"], Coding::Brotli),
            (&["gzip;q=0"], Coding::Identity),
            (&["gzip;q=0.000, br;q=0"], Coding::Identity),
            (&["gzip;q=0.001"], Coding::Gzip),
            (&["*"], Coding::Brotli),
            (&["*;q=0"], Coding::Identity),
            (&["br;q=0, *"], Coding::Gzip),
            (&["identity"], Coding::Identity),
            (&["identity;q=0.5, gzip;q=0.4"], Coding::Identity),
            (&["identity;q=0, gzip"], Coding::Gzip),
            (&["*;q=0, gzip;q=0.1"], Coding::Gzip),
            (&["gzip;q=2"], Coding::Identity),
            (&["gzip;q=1.001"], Coding::Identity),
            (&["gzip;q=0.1234"], Coding::Identity),
            (&["gzip;q="], Coding::Identity),
            (&["gzip;level=9"], Coding::Identity),
            (&["deflate, zstd"], Coding::Identity),
            (&[",,;;,=,gzip"], Coding::Gzip),
        ];
        for (fields, coding) in table {
            let chosen = negotiate(&FILE, fields.iter().map(|field| field.as_bytes()));
            assert_eq!(chosen.coding, *coding, "{fields:?}");
        }
    }
}
