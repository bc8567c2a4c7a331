//! TCP segments that the host finishes: it fills in the checksum, and cuts what is longer than the MTU.
//!
//! The fields have the meaning of virtio-net's (virtio 1.2, section 5.1.6.2): the checksum field holds the sum of the
//! pseudo-header, and the host adds the rest.

use core::net::IpAddr;

use hvcall::frame::{FLAG_NEEDS_CSUM, GSO_TCPV4, GSO_TCPV6};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    checksum,
};

use super::frame::Outgoing;

/// Where TCP's checksum is, from the start of its header (RFC 9293, section 3.1).
const CHECKSUM_OFFSET: u16 = 16;

/// Prepares a packet that smoltcp wrote without TCP's checksum. Others are left alone.
pub(super) fn leave_checksum(frame: &mut Outgoing, piece_bytes: Option<u16>) {
    let Some(head) = Head::of(frame.packet()) else { return };
    let start = ETHERNET_HEADER_LEN + head.ip_bytes;
    let Some(segment) = frame.bytes.get_mut(start..) else { return };
    let length = u32::try_from(segment.len()).unwrap_or(0);
    let sum = checksum::pseudo_header(&head.from.into(), &head.to.into(), IpProtocol::Tcp, length);
    let mut segment = TcpPacket::new_unchecked(segment);
    segment.set_checksum(sum);
    let tcp_bytes = usize::from(segment.header_len());
    let descriptor = &mut frame.descriptor;
    descriptor.flags = FLAG_NEEDS_CSUM;
    descriptor.csum_start = u16::try_from(start).unwrap_or(0);
    descriptor.csum_offset = CHECKSUM_OFFSET;
    if let Some(piece_bytes) = piece_bytes {
        descriptor.gso_type = if head.from.is_ipv4() { GSO_TCPV4 } else { GSO_TCPV6 };
        descriptor.gso_size = piece_bytes;
        descriptor.header_bytes = u16::try_from(start + tcp_bytes).unwrap_or(0);
    }
}

/// The IP header of a TCP segment of ours, which has no options and no extensions.
struct Head {
    from: IpAddr,
    to: IpAddr,
    ip_bytes: usize,
}

impl Head {
    fn of(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => {
                let ip = Ipv4Packet::new_checked(packet).ok()?;
                let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
                (ip.next_header() == IpProtocol::Tcp).then_some(Self { from, to, ip_bytes: IPV4_HEADER_LEN })
            }
            6 => {
                let ip = Ipv6Packet::new_checked(packet).ok()?;
                let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
                (ip.next_header() == IpProtocol::Tcp).then_some(Self { from, to, ip_bytes: IPV6_HEADER_LEN })
            }
            _ => None,
        }
    }
}
