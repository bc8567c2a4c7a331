//! What a frame is, if it is one of the few kinds that a policy knows: everything else has a reason to be dropped.
//!
//! The list is a positive one. A frame is taken apart completely, every length in it agrees with every other, and nothing is left
//! over; so what the receiver makes of it cannot be anything else than what was judged.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv6Packet,
    IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

use super::{Direction, Reason};

/// Length of an Ethernet header.
pub(super) const ETHERNET_BYTES: usize = 14;
/// Shortest frame on a wire, without its checksum: shorter ones are padded to this (IEEE 802.3, clause 4A.4.2).
const PADDED_BYTES: usize = 60;
/// Length of an IPv4 header without options.
const IPV4_HEADER_BYTES: u8 = 20;
/// NDP packets with any other hop limit crossed a router and are forgeries (RFC 4861, section 11.2).
const NDP_HOP_LIMIT: u8 = 255;

/// A frame, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoded<'a> {
    pub(super) from: [u8; 6],
    pub(super) to: [u8; 6],
    pub(super) packet: Packet<'a>,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet<'a> {
    Arp(Arp),
    Ip(Ip<'a>),
}

/// An ARP packet for Ethernet and IPv4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arp {
    pub(super) is_request: bool,
    pub(super) sender_mac: [u8; 6],
    pub(super) sender: Ipv4Addr,
    pub(super) target: Ipv4Addr,
}

/// An IP packet that is no fragment and has no options or extension headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) payload: Payload<'a>,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    /// A segment; `opens` if it is the first of a connection.
    Tcp {
        source: u16,
        destination: u16,
        opens: bool,
    },
    Udp {
        source: u16,
        destination: u16,
        data: &'a [u8],
    },
    /// An echo request or reply.
    Echo {
        is_request: bool,
        identifier: u16,
    },
    /// A report that a packet did not arrive, with the addresses of that packet.
    Undelivered {
        source: IpAddr,
        destination: IpAddr,
    },
    Ndp(Ndp),
}

/// A question or an answer about an IPv6 neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ndp {
    pub(super) is_question: bool,
    pub(super) target: Ipv6Addr,
    /// The sender's address in the packet, if it is there.
    pub(super) mac: Option<[u8; 6]>,
}

/// Takes a frame apart.
pub(super) fn decode(frame: &[u8], direction: Direction) -> Result<Decoded<'_>, Reason> {
    let ethernet = EthernetFrame::new_checked(frame).map_err(|_| Reason::Malformed)?;
    let (from, to) = (ethernet.src_addr(), ethernet.dst_addr());
    if !from.is_unicast() {
        return Err(Reason::SourceMac);
    }
    let payload = &frame[ETHERNET_BYTES..];
    let packet = match ethernet.ethertype() {
        EthernetProtocol::Arp => Packet::Arp(arp(payload, direction)?),
        EthernetProtocol::Ipv4 => Packet::Ip(ipv4(payload, direction)?),
        EthernetProtocol::Ipv6 => Packet::Ip(ipv6(payload, direction)?),
        // IEEE 802.1Q and 802.1ad; 0x9100 is in use for the latter as well.
        EthernetProtocol::Unknown(0x8100 | 0x88a8 | 0x9100) => return Err(Reason::Vlan),
        EthernetProtocol::Unknown(_) => return Err(Reason::EtherType),
    };
    Ok(Decoded { from: from.0, to: to.0, packet })
}

/// The first `size_bytes` of a payload, if what follows is padding of a short frame. A guest's padding holds nothing.
fn whole(payload: &[u8], size_bytes: usize, direction: Direction) -> Result<&[u8], Reason> {
    let (packet, rest) = payload.split_at_checked(size_bytes).ok_or(Reason::Malformed)?;
    let is_padding = payload.len() + ETHERNET_BYTES <= PADDED_BYTES
        && (direction == Direction::ToGuest || rest.iter().all(|byte| *byte == 0));
    if rest.is_empty() || is_padding { Ok(packet) } else { Err(Reason::Malformed) }
}

fn arp(payload: &[u8], direction: Direction) -> Result<Arp, Reason> {
    const ARP_BYTES: usize = 28;
    let packet =
        ArpPacket::new_checked(whole(payload, ARP_BYTES, direction)?).map_err(|_| Reason::Malformed)?;
    let Ok(ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    }) = ArpRepr::parse(&packet)
    else {
        return Err(Reason::Malformed);
    };
    let is_request = match operation {
        ArpOperation::Request => true,
        ArpOperation::Reply => false,
        ArpOperation::Unknown(_) => return Err(Reason::Malformed),
    };
    let sender_mac = source_hardware_addr.0;
    Ok(Arp { is_request, sender_mac, sender: source_protocol_addr, target: target_protocol_addr })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a positive list: whatever else there is does not pass")]
fn ipv4(payload: &[u8], direction: Direction) -> Result<Ip<'_>, Reason> {
    let packet = Ipv4Packet::new_checked(payload).map_err(|_| Reason::Malformed)?;
    if packet.version() != 4 || !packet.verify_checksum() {
        return Err(Reason::Malformed);
    }
    if packet.header_len() != IPV4_HEADER_BYTES {
        return Err(Reason::Options);
    }
    // The highest of the three flag bits is reserved and 0 (RFC 791, section 3.1).
    const RESERVED_FLAG: u8 = 0x80;
    if packet.more_frags() || packet.frag_offset() != 0 || payload[6] & RESERVED_FLAG != 0 {
        return Err(Reason::Fragment);
    }
    let content =
        &whole(payload, usize::from(packet.total_len()), direction)?[usize::from(IPV4_HEADER_BYTES)..];
    let (source, destination) = (IpAddr::V4(packet.src_addr()), IpAddr::V4(packet.dst_addr()));
    let payload = match packet.next_header() {
        IpProtocol::Tcp => tcp(content)?,
        IpProtocol::Udp => udp(content)?,
        IpProtocol::Icmp => icmpv4(content)?,
        _ => return Err(Reason::Protocol),
    };
    Ok(Ip { source, destination, payload })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "as for IPv4")]
fn ipv6(payload: &[u8], direction: Direction) -> Result<Ip<'_>, Reason> {
    let packet = Ipv6Packet::new_checked(payload).map_err(|_| Reason::Malformed)?;
    if packet.version() != 6 {
        return Err(Reason::Malformed);
    }
    let content = &whole(payload, packet.total_len(), direction)?[packet.header_len()..];
    let (source, destination) = (IpAddr::V6(packet.src_addr()), IpAddr::V6(packet.dst_addr()));
    let payload = match packet.next_header() {
        IpProtocol::Tcp => tcp(content)?,
        IpProtocol::Udp => udp(content)?,
        IpProtocol::Icmpv6 => icmpv6(content, packet.hop_limit())?,
        IpProtocol::HopByHop
        | IpProtocol::Ipv6Route
        | IpProtocol::Ipv6Frag
        | IpProtocol::Ipv6Opts
        | IpProtocol::IpSecAh
        | IpProtocol::IpSecEsp => return Err(Reason::Extension),
        _ => return Err(Reason::Protocol),
    };
    Ok(Ip { source, destination, payload })
}

fn tcp(content: &[u8]) -> Result<Payload<'_>, Reason> {
    let segment = TcpPacket::new_checked(content).map_err(|_| Reason::Malformed)?;
    let (syn, ack, fin, rst) = (segment.syn(), segment.ack(), segment.fin(), segment.rst());
    // A first segment or its answer, a reset, or a segment of a connection. Any other combination is a probe.
    let sensible = match (syn, rst) {
        (true, true) => false,
        (true, false) | (false, true) => !fin,
        (false, false) => ack,
    };
    let (source, destination) = (segment.src_port(), segment.dst_port());
    if !sensible || source == 0 || destination == 0 {
        return Err(Reason::Malformed);
    }
    Ok(Payload::Tcp { source, destination, opens: syn && !ack })
}

fn udp(content: &[u8]) -> Result<Payload<'_>, Reason> {
    let datagram = UdpPacket::new_checked(content).map_err(|_| Reason::Malformed)?;
    let (source, destination) = (datagram.src_port(), datagram.dst_port());
    if usize::from(datagram.len()) != content.len() || source == 0 || destination == 0 {
        return Err(Reason::Malformed);
    }
    Ok(Payload::Udp { source, destination, data: datagram.payload() })
}

fn icmpv4(content: &[u8]) -> Result<Payload<'_>, Reason> {
    let packet = Icmpv4Packet::new_checked(content).map_err(|_| Reason::Malformed)?;
    match (u8::from(packet.msg_type()), packet.msg_code()) {
        (kind @ (0 | 8), 0) => Ok(Payload::Echo { is_request: kind == 8, identifier: word(content, 4)? }),
        // Unreachable, and time exceeded (RFC 792): behind 8 bytes, the header of the packet in question.
        (3 | 11, _) => {
            let about = content.get(8..).ok_or(Reason::Malformed)?;
            let source: [u8; 4] = bytes(about, 12)?;
            Ok(Payload::Undelivered { source: source.into(), destination: bytes::<4>(about, 16)?.into() })
        }
        _ => Err(Reason::Protocol),
    }
}

fn icmpv6(content: &[u8], hop_limit: u8) -> Result<Payload<'_>, Reason> {
    let packet = Icmpv6Packet::new_checked(content).map_err(|_| Reason::Malformed)?;
    match (u8::from(packet.msg_type()), packet.msg_code()) {
        (kind @ (128 | 129), 0) => {
            Ok(Payload::Echo { is_request: kind == 128, identifier: word(content, 4)? })
        }
        // Unreachable, too big, time exceeded (RFC 4443): behind 8 bytes, the header of the packet in question.
        (1..=3, _) => {
            let about = content.get(8..).ok_or(Reason::Malformed)?;
            let source: [u8; 16] = bytes(about, 8)?;
            Ok(Payload::Undelivered { source: source.into(), destination: bytes::<16>(about, 24)?.into() })
        }
        // Neighbour solicitation and advertisement (RFC 4861, sections 4.3 and 4.4): a target, and at most the one option that
        // carries a MAC address, of the kind that belongs to the message.
        (kind @ (135 | 136), 0) if hop_limit == NDP_HOP_LIMIT => {
            let is_question = kind == 135;
            let option = if is_question { [1, 1] } else { [2, 1] };
            let mac = match content.len() {
                24 => None,
                32 if content[24..26] == option => Some(bytes(content, 26)?),
                _ => return Err(Reason::Malformed),
            };
            Ok(Payload::Ndp(Ndp { is_question, target: bytes::<16>(content, 8)?.into(), mac }))
        }
        _ => Err(Reason::Protocol),
    }
}

fn word(from: &[u8], offset: usize) -> Result<u16, Reason> {
    bytes(from, offset).map(u16::from_be_bytes)
}

fn bytes<const N: usize>(from: &[u8], offset: usize) -> Result<[u8; N], Reason> {
    let range = from.get(offset..).and_then(|rest| rest.first_chunk());
    range.copied().ok_or(Reason::Malformed)
}
