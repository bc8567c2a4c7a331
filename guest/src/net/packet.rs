//! IP packets as they arrive: who, to whom, what. The first look at hostile bytes.

use core::net::{IpAddr, SocketAddr};

use hvcall::frame::{FLAG_DATA_VALID, FLAG_NEEDS_CSUM};
use smoltcp::wire::{IPV4_HEADER_LEN, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};

/// An IP packet with a sound header.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: IpProtocol,
    pub(super) payload: &'a [u8],
    /// The whole packet, without what Ethernet padded.
    pub(super) bytes: &'a [u8],
    /// Whether the transport's checksum was made, or checked, on this host, so that it need not be checked again.
    pub(super) trusted: bool,
}

impl<'a> Packet<'a> {
    /// Reads the packet in `bytes`, which came with the frame flags `flags`. Fragments are not taken.
    pub(super) fn parse(bytes: &'a [u8], flags: u16) -> Option<Self> {
        let trusted = flags & (FLAG_NEEDS_CSUM | FLAG_DATA_VALID) != 0;
        match bytes.first()? >> 4 {
            4 => {
                let ip = Ipv4Packet::new_checked(bytes).ok()?;
                let whole = !ip.more_frags() && ip.frag_offset() == 0;
                let sound = usize::from(ip.header_len()) >= IPV4_HEADER_LEN && ip.verify_checksum();
                (whole && sound).then_some(())?;
                Some(Self {
                    source: IpAddr::V4(ip.src_addr()),
                    destination: IpAddr::V4(ip.dst_addr()),
                    protocol: ip.next_header(),
                    payload: ip.payload(),
                    bytes: bytes.get(..usize::from(ip.total_len()))?,
                    trusted,
                })
            }
            6 => {
                let ip = Ipv6Packet::new_checked(bytes).ok()?;
                Some(Self {
                    source: IpAddr::V6(ip.src_addr()),
                    destination: IpAddr::V6(ip.dst_addr()),
                    protocol: ip.next_header(),
                    payload: ip.payload(),
                    bytes: bytes.get(..ip.total_len())?,
                    trusted,
                })
            }
            _ => None,
        }
    }

    /// The TCP segment, if it is one and its checksum holds.
    pub(super) fn tcp(&self) -> Option<TcpPacket<&'a [u8]>> {
        let segment = TcpPacket::new_checked(self.payload).ok()?;
        let (from, to) = (self.source.into(), self.destination.into());
        (self.trusted || segment.verify_checksum(&from, &to)).then_some(segment)
    }

    /// The UDP datagram, if it is one and its checksum holds.
    pub(super) fn udp(&self) -> Option<UdpPacket<&'a [u8]>> {
        let datagram = UdpPacket::new_checked(self.payload).ok()?;
        let (from, to) = (self.source.into(), self.destination.into());
        (self.trusted || datagram.verify_checksum(&from, &to)).then_some(datagram)
    }
}

/// A TCP connection's two ends: what makes it this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tuple {
    pub(super) local: IpAddr,
    pub(super) local_port: u16,
    pub(super) remote: IpAddr,
    pub(super) remote_port: u16,
}

impl Tuple {
    /// Our end.
    pub(super) fn local(&self) -> SocketAddr {
        SocketAddr::new(self.local, self.local_port)
    }

    /// The peer's end.
    pub(super) fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.remote, self.remote_port)
    }
}
