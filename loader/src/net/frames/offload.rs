//! The offload header before a frame of the guest: what the host's kernel makes of the frame has to be what was judged.
//!
//! The kernel writes a checksum wherever the header says, and cuts a long segment into pieces, each behind a copy of as many of its
//! bytes as the header says (virtio 1.2, section 5.1.6.2). So a header passes that asks for nothing, or that is the one header which belongs to
//! the frame: TCP's checksum in its own place, and headers copied to their end. Only how long the pieces are is the guest's choice,
//! within the MTU and a number of pieces. All pieces have the addresses, the ports and the flags that were judged, but for FIN and PSH,
//! which only the last has, and CWR, which only the first has.

use hvcall::frame::{FLAG_NEEDS_CSUM, GSO_NONE, GSO_TCPV4, GSO_TCPV6};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket};

use super::decode::ETHERNET_BYTES;
use crate::net::tap::VNET_HEADER_BYTES;

/// Where TCP's checksum is, from the start of its header (RFC 9293, section 3.1).
const CHECKSUM_OFFSET: u16 = 16;
/// Most pieces, each of which costs the host as much as a frame: those of the longest frame on a connection with the shortest segments that
/// Linux makes (`TCP_MIN_SND_MSS`, include/net/tcp.h, v6.12). A short frame may be in shorter pieces.
const MAX_PIECES: usize = 65_535 / 48;

/// Whether a header belongs to a frame that a policy lets through, on a NIC with this MTU.
pub(super) fn belongs(header: &[u8; VNET_HEADER_BYTES], frame: &[u8], mtu: u16) -> bool {
    if *header == [0; VNET_HEADER_BYTES] {
        return true;
    }
    let piece_bytes = u16::from_le_bytes([header[4], header[5]]);
    Segment::of(frame).is_some_and(|segment| {
        *header == segment.header(piece_bytes) && (piece_bytes == 0 || segment.may_be_cut(piece_bytes, mtu))
    })
}

/// A TCP segment in a frame without IP options.
struct Segment<'a> {
    is_ipv4: bool,
    /// From the start of the frame.
    start: usize,
    tcp: TcpPacket<&'a [u8]>,
}

impl<'a> Segment<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let packet = frame.get(ETHERNET_BYTES..)?;
        let (is_ipv4, ip_bytes, protocol) = match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let ip = Ipv4Packet::new_checked(packet).ok()?;
                (true, usize::from(ip.header_len()), ip.next_header())
            }
            EthernetProtocol::Ipv6 => {
                let ip = Ipv6Packet::new_checked(packet).ok()?;
                (false, ip.header_len(), ip.next_header())
            }
            EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => return None,
        };
        let tcp = TcpPacket::new_checked(packet.get(ip_bytes..)?).ok()?;
        (protocol == IpProtocol::Tcp).then_some(Self { is_ipv4, start: ETHERNET_BYTES + ip_bytes, tcp })
    }

    /// The header that belongs to it, for the kernel to cut it into pieces of so many bytes, or not to cut it if that is 0.
    fn header(&self, piece_bytes: u16) -> [u8; VNET_HEADER_BYTES] {
        let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        let (kind, header_bytes) = match piece_bytes {
            0 => (GSO_NONE, 0),
            _ if self.is_ipv4 => (GSO_TCPV4, short(self.header_bytes())),
            _ => (GSO_TCPV6, short(self.header_bytes())),
        };
        let [flags, kind] = [FLAG_NEEDS_CSUM, kind].map(|value| value.to_le_bytes()[0]);
        let words = [header_bytes, piece_bytes, short(self.start), CHECKSUM_OFFSET].map(u16::to_le_bytes);
        let mut header = [0; VNET_HEADER_BYTES];
        header[..2].copy_from_slice(&[flags, kind]);
        header[2..].copy_from_slice(words.as_flattened());
        header
    }

    /// Length of all headers, Ethernet's included.
    fn header_bytes(&self) -> usize {
        self.start + usize::from(self.tcp.header_len())
    }

    /// A connection's first segment and a reset are never long.
    fn may_be_cut(&self, piece_bytes: u16, mtu: u16) -> bool {
        let packet_bytes = self.header_bytes() - ETHERNET_BYTES + usize::from(piece_bytes);
        self.tcp.payload().len().div_ceil(usize::from(piece_bytes)) <= MAX_PIECES
            && packet_bytes <= usize::from(mtu)
            && !self.tcp.syn()
            && !self.tcp.rst()
            && !self.tcp.urg()
    }
}
