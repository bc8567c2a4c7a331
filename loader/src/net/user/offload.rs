//! TCP's checksum on the link between guest and helper: nobody computes it, since nothing is lost between two processes of one machine.
//!
//! The frame's header says so in virtio-net's terms (virtio 1.2, section 5.1.6): the checksum field holds the sum of the
//! pseudo-header, and whoever passes the segment on to a wire adds the rest.

use core::net::IpAddr;

use hvcall::frame::FLAG_NEEDS_CSUM;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, checksum};

use super::packet::ETHERNET_BYTES;
use crate::net::tap::VNET_HEADER_BYTES;

/// Where TCP's checksum is, from the start of its header (RFC 9293, section 3.1).
const CHECKSUM_OFFSET: usize = 16;

/// Prepares a packet that smoltcp wrote without TCP's checksum, and gives the header for its frame. Other packets are left alone.
pub(super) fn leave_checksum(packet: &mut [u8]) -> [u8; VNET_HEADER_BYTES] {
    let mut header = [0; VNET_HEADER_BYTES];
    let Some((from, to, ip_bytes)) = ends_of_segment(packet) else { return header };
    let segment = &mut packet[ip_bytes..];
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    let sum = checksum::pseudo_header(&from.into(), &to.into(), IpProtocol::Tcp, length);
    TcpPacket::new_unchecked(segment).set_checksum(sum);
    header[0] = FLAG_NEEDS_CSUM.to_le_bytes()[0];
    for (place, value) in [(6, ETHERNET_BYTES + ip_bytes), (8, CHECKSUM_OFFSET)] {
        let value = u16::try_from(value).unwrap_or(u16::MAX);
        header[place..place + 2].copy_from_slice(&value.to_le_bytes());
    }
    header
}

/// Source, destination and length of the IP header of a TCP segment.
fn ends_of_segment(packet: &[u8]) -> Option<(IpAddr, IpAddr, usize)> {
    let (from, to, ip_bytes, protocol): (IpAddr, IpAddr, _, _) = match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            (ip.src_addr().into(), ip.dst_addr().into(), usize::from(ip.header_len()), ip.next_header())
        }
        6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            (ip.src_addr().into(), ip.dst_addr().into(), ip.header_len(), ip.next_header())
        }
        _ => return None,
    };
    let whole = protocol == IpProtocol::Tcp && TcpPacket::new_checked(&packet[ip_bytes..]).is_ok();
    whole.then_some((from, to, ip_bytes))
}
