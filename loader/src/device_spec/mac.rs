//! MAC addresses: as written, and the one a NIC has when nobody wrote any.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// A unicast MAC address that is not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// Why a text is no MAC address for a NIC.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a unicast MAC address; write six bytes in hexadecimal, such as 02:00:00:12:34:56")]
pub struct MacError(pub String);

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let error = || MacError(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(error)?;
            let is_hex = part.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| is_hex).ok_or_else(error)?;
        }
        let is_multicast = bytes[0] & 1 == 1;
        if parts.next().is_some() || is_multicast || bytes == [0; 6] { Err(error()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// The MAC address of a NIC for which none was given.
///
/// It is the start of SHA-256 over the appliance's and the NIC's name, made locally administered and unicast (IEEE 802,
/// clause 8.2). So it stays the same across restarts and hosts, which keeps neighbours' caches and DHCP leases valid, and it
/// differs between NICs. Two machines that run the same appliance on one link have the same address: give one of them
/// `mac=`.
#[must_use]
pub fn default_mac(appliance: &str, nic: &str) -> Mac {
    let mut hash = Sha256::new();
    for part in [appliance, nic] {
        hash.update(part);
        hash.update([0]);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 6];
    bytes.copy_from_slice(&digest[..6]);
    bytes[0] = (bytes[0] & !1) | 2;
    Mac(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_read_back_as_written() {
        for text in ["02:00:00:12:34:56", "52:54:00:ab:cd:ef"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), text);
        }
        assert_eq!("02:AB:00:00:00:01".parse(), Ok(Mac([2, 0xab, 0, 0, 0, 1])));
    }

    #[test]
    fn what_a_nic_cannot_have_is_refused() {
        for text in [
            "",
            "02:00:00:12:34",
            "02:00:00:12:34:56:78",
            "2:0:0:12:34:56",
            "02-00-00-12-34-56",
            "02:00:00:12:34:5g",
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "+2:00:00:00:00:00",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(MacError(text.to_owned())));
        }
    }

    #[test]
    fn default_macs_are_stable_local_and_distinct() {
        assert_eq!(default_mac("web", "net").to_string(), "96:34:7f:81:4d:34");
        assert_eq!(default_mac("web", "net").0[0] & 3, 2);
        assert_ne!(default_mac("web", "net"), default_mac("web", "net2"));
        assert_ne!(default_mac("we", "bnet"), default_mac("web", "net"));
    }
}
