//! The PROXY protocol's header, version 2: tells a backend who the client is.
//!
//! The specification is HAProxy's `doc/proxy-protocol.txt`, section 2.2.

use core::net::{IpAddr, SocketAddr};

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 in the upper half of a byte, the command in the lower.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Address family in the upper half, TCP in the lower.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
/// Signature, two bytes, length.
const START_BYTES: usize = 16;
/// The longest header: two IPv6 addresses and two ports.
const MAX_BYTES: usize = START_BYTES + 36;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; MAX_BYTES],
    size_bytes: usize,
}

impl Header {
    /// For a connection from `client` to `listener`, our address that it called.
    #[must_use]
    pub fn proxied(client: SocketAddr, listener: SocketAddr) -> Self {
        match (client.ip(), listener.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Self::new(PROXY, TCP_OVER_IPV4)
                .with(&from.octets())
                .with(&to.octets())
                .with_ports(client, listener),
            (from, to) => Self::new(PROXY, TCP_OVER_IPV6)
                .with(&as_ipv6(from))
                .with(&as_ipv6(to))
                .with_ports(client, listener),
        }
    }

    /// For a connection of our own: a health check.
    #[must_use]
    pub fn local() -> Self {
        Self::new(LOCAL, UNSPECIFIED)
    }

    /// Its bytes, 16 to 52.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.size_bytes).unwrap_or_default()
    }

    fn new(command: u8, family: u8) -> Self {
        let header = Self { bytes: [0; MAX_BYTES], size_bytes: 0 };
        header.with(&SIGNATURE).with(&[command, family, 0, 0])
    }

    /// Appends `part`, and has the length field count what stands behind it.
    fn with(mut self, part: &[u8]) -> Self {
        let end = self.size_bytes + part.len();
        if let Some(place) = self.bytes.get_mut(self.size_bytes..end) {
            place.copy_from_slice(part);
            self.size_bytes = end;
        }
        if let Some(length) = u16::try_from(end).ok().and_then(|end| end.checked_sub(16)) {
            [self.bytes[14], self.bytes[15]] = length.to_be_bytes();
        }
        self
    }

    fn with_ports(self, client: SocketAddr, listener: SocketAddr) -> Self {
        self.with(&client.port().to_be_bytes()).with(&listener.port().to_be_bytes())
    }
}

fn as_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
