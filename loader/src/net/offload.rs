//! TCP segments that somebody else finishes, and the offload header that belongs to each (`struct virtio_net_hdr`; virtio 1.2, section
//! 5.1.6): the checksum field holds the sum of the pseudo-header, and whoever passes the segment on to a wire adds the rest, and cuts what
//! is longer than the header allows.

use core::net::IpAddr;

use hvcall::frame::{FLAG_NEEDS_CSUM, GSO_NONE, GSO_TCPV4, GSO_TCPV6};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    checksum,
};

use super::tap::VNET_HEADER_BYTES;

/// An offload header.
pub(super) type VnetHeader = [u8; VNET_HEADER_BYTES];

/// Where TCP's checksum is, from the start of its header (RFC 9293, section 3.1).
const CHECKSUM_OFFSET: u16 = 16;

/// A TCP segment in a frame.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    from: IpAddr,
    to: IpAddr,
    /// From the start of the frame.
    start: usize,
    pub(super) tcp: TcpPacket<&'a [u8]>,
}

impl<'a> Segment<'a> {
    /// The segment in a frame, if there is one.
    pub(super) fn of(frame: &'a [u8]) -> Option<Self> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let packet = frame.get(ETHERNET_HEADER_LEN..)?;
        let (from, to, ip_bytes, protocol): (IpAddr, IpAddr, _, _) = match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let ip = Ipv4Packet::new_checked(packet).ok()?;
                (ip.src_addr().into(), ip.dst_addr().into(), usize::from(ip.header_len()), ip.next_header())
            }
            EthernetProtocol::Ipv6 => {
                let ip = Ipv6Packet::new_checked(packet).ok()?;
                (ip.src_addr().into(), ip.dst_addr().into(), ip.header_len(), ip.next_header())
            }
            EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => return None,
        };
        let tcp = TcpPacket::new_checked(packet.get(ip_bytes..)?).ok()?;
        let start = ETHERNET_HEADER_LEN + ip_bytes;
        (protocol == IpProtocol::Tcp).then_some(Self { from, to, start, tcp })
    }

    /// Length of all headers, Ethernet's included.
    pub(super) fn header_bytes(&self) -> usize {
        self.start + usize::from(self.tcp.header_len())
    }

    /// The header that belongs to it, to be cut into pieces of so many bytes, or not to be cut if that is 0.
    pub(super) fn header(&self, piece_bytes: u16) -> VnetHeader {
        let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        let (kind, header_bytes) = match piece_bytes {
            0 => (GSO_NONE, 0),
            _ if self.from.is_ipv4() => (GSO_TCPV4, short(self.header_bytes())),
            _ => (GSO_TCPV6, short(self.header_bytes())),
        };
        let [flags, kind] = [FLAG_NEEDS_CSUM, kind].map(|value| value.to_le_bytes()[0]);
        let words = [header_bytes, piece_bytes, short(self.start), CHECKSUM_OFFSET].map(u16::to_le_bytes);
        let mut header = [0; VNET_HEADER_BYTES];
        header[..2].copy_from_slice(&[flags, kind]);
        header[2..].copy_from_slice(words.as_flattened());
        header
    }
}

/// Leaves the checksum of the segment in a frame to whoever takes it further, and gives the header that says so. Other frames are left
/// alone; theirs is zero.
pub(super) fn leave_checksum(frame: &mut [u8]) -> VnetHeader {
    let Some(segment) = Segment::of(frame) else { return [0; VNET_HEADER_BYTES] };
    let (header, start) = (segment.header(0), segment.start);
    let length = u32::try_from(frame.len() - start).unwrap_or(u32::MAX);
    let sum = checksum::pseudo_header(&segment.from.into(), &segment.to.into(), IpProtocol::Tcp, length);
    TcpPacket::new_unchecked(&mut frame[start..]).set_checksum(sum);
    header
}
