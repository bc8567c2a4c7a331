//! What a frame of the guest says: the only place that takes guest bytes apart outside smoltcp.
//!
//! A frame decodes to one of the few things the helper acts on, or to nothing. Lengths are checked by smoltcp's packet
//! views; what they return borrows from the frame, so nothing is allocated here. Checksums are not verified: the frame came
//! through memory of this machine, and a wrong one would only cheat the guest itself.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Message,
    Icmpv4Packet, Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

use super::addresses::{UserNet, is_guest, is_ours};

/// Length of an Ethernet header.
pub(super) const ETHERNET_BYTES: usize = 14;

/// One conversation as the guest names it: the other end and the guest's port. The guest's address follows from the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    /// The other end, as the guest sees it.
    pub(super) peer: SocketAddr,
    /// The guest's port.
    pub(super) guest_port: u16,
}

/// A TCP segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) key: FlowKey,
    /// The first segment of a connection: SYN without ACK or RST.
    pub(super) opens: bool,
    /// Carries RST.
    pub(super) resets: bool,
    /// The IP packet.
    pub(super) packet: &'a [u8],
}

/// A UDP datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub(super) key: FlowKey,
    pub(super) payload: &'a [u8],
    /// The IP packet.
    pub(super) packet: &'a [u8],
}

/// What the helper acts on.
#[derive(Debug)]
pub(super) enum Packet<'a> {
    /// ARP: who has one of the helper's addresses?
    WhoHas {
        target: Ipv4Addr,
        sender: (EthernetAddress, Ipv4Addr),
    },
    /// NDP: the same for IPv6, asked by `source`.
    Solicit {
        target: Ipv6Addr,
        source: Ipv6Addr,
    },
    /// An echo request to one of the helper's addresses: the IP packet.
    Echo(&'a [u8]),
    Tcp(Segment<'a>),
    Udp(Datagram<'a>),
}

/// Source address and meaning of a frame, or `None` for anything that the helper does not act on.
pub(super) fn decode(frame: &[u8]) -> Option<(EthernetAddress, Packet<'_>)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let (source, destination) = (ethernet.src_addr(), ethernet.dst_addr());
    if !source.is_unicast() || (destination.is_unicast() && destination.0 != UserNet::GATEWAY_MAC) {
        return None;
    }
    let packet = match ethernet.ethertype() {
        EthernetProtocol::Arp => decode_arp(ethernet.payload()),
        EthernetProtocol::Ipv4 => decode_v4(ethernet.payload()),
        EthernetProtocol::Ipv6 => decode_v6(ethernet.payload()),
        EthernetProtocol::Unknown(_) => None,
    }?;
    Some((source, packet))
}

fn decode_arp(payload: &[u8]) -> Option<Packet<'_>> {
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&ArpPacket::new_checked(payload).ok()?).ok()?
    else {
        return None;
    };
    is_ours(IpAddr::V4(target_protocol_addr)).then_some(Packet::WhoHas {
        target: target_protocol_addr,
        sender: (source_hardware_addr, source_protocol_addr),
    })
}

fn decode_v4(payload: &[u8]) -> Option<Packet<'_>> {
    let packet = Ipv4Packet::new_checked(payload).ok()?;
    // Fragments are not put together again: no packet between guest and helper needs to be one.
    if packet.version() != 4 || packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let whole = &payload[..usize::from(packet.total_len())];
    let (source, destination) = (IpAddr::V4(packet.src_addr()), IpAddr::V4(packet.dst_addr()));
    if packet.next_header() == IpProtocol::Icmp {
        let icmp = Icmpv4Packet::new_checked(packet.payload()).ok()?;
        let echo = icmp.msg_type() == Icmpv4Message::EchoRequest && is_ours(destination) && is_guest(source);
        return echo.then_some(Packet::Echo(whole));
    }
    decode_transport(source, destination, packet.next_header(), packet.payload(), whole)
}

fn decode_v6(payload: &[u8]) -> Option<Packet<'_>> {
    let packet = Ipv6Packet::new_checked(payload).ok()?;
    if packet.version() != 6 {
        return None;
    }
    let whole = &payload[..packet.total_len()];
    let (source, destination) = (IpAddr::V6(packet.src_addr()), IpAddr::V6(packet.dst_addr()));
    if packet.next_header() == IpProtocol::Icmpv6 {
        let icmp = Icmpv6Packet::new_checked(packet.payload()).ok()?;
        if icmp.msg_type() == Icmpv6Message::NeighborSolicit {
            return decode_solicit(packet.payload(), packet.src_addr());
        }
        let echo = icmp.msg_type() == Icmpv6Message::EchoRequest && is_ours(destination) && is_guest(source);
        return echo.then_some(Packet::Echo(whole));
    }
    decode_transport(source, destination, packet.next_header(), packet.payload(), whole)
}

/// A neighbour solicitation is 8 bytes of header and the target's address (RFC 4861, section 4.3).
fn decode_solicit(icmp: &[u8], source: Ipv6Addr) -> Option<Packet<'_>> {
    let target: [u8; 16] = icmp.get(8..24)?.try_into().ok()?;
    let target = Ipv6Addr::from(target);
    // The unspecified source belongs to the search for duplicates of an address, which the helper's are not.
    let plausible = !source.is_unspecified() && !source.is_multicast() && is_ours(IpAddr::V6(target));
    plausible.then_some(Packet::Solicit { target, source })
}

fn decode_transport<'a>(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpProtocol,
    payload: &'a [u8],
    packet: &'a [u8],
) -> Option<Packet<'a>> {
    // One address per guest: anything else would be an answer that cannot arrive.
    if !is_guest(source) {
        return None;
    }
    let key = |peer_port, guest_port| {
        (peer_port != 0 && guest_port != 0)
            .then_some(FlowKey { peer: SocketAddr::new(destination, peer_port), guest_port })
    };
    if protocol == IpProtocol::Tcp {
        let tcp = TcpPacket::new_checked(payload).ok()?;
        return Some(Packet::Tcp(Segment {
            key: key(tcp.dst_port(), tcp.src_port())?,
            opens: tcp.syn() && !tcp.ack() && !tcp.rst() && !tcp.fin(),
            resets: tcp.rst(),
            packet,
        }));
    }
    if protocol == IpProtocol::Udp {
        let udp = UdpPacket::new_checked(payload).ok()?;
        let key = key(udp.dst_port(), udp.src_port())?;
        return Some(Packet::Udp(Datagram { key, payload: udp.payload(), packet }));
    }
    None
}
