//! Packets that the helper itself makes: neighbour answers, UDP datagrams, "unreachable".

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr,
    Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv4Repr,
    Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr, RawHardwareAddress, UdpPacket, UdpRepr,
};

use super::addresses::{UserNet, guest_towards};
use super::link::Link;
use super::packet::FlowKey;

/// Hop limit of ordinary packets.
const HOP_LIMIT: u8 = 64;
/// Hop limit that neighbour discovery demands (RFC 4861, section 7.1.2).
const NDP_HOP_LIMIT: u8 = 255;

/// "`target` is at the gateway's MAC address", for ARP.
pub(super) fn arp(link: &mut Link, target: Ipv4Addr, sender: (EthernetAddress, Ipv4Addr)) {
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(UserNet::GATEWAY_MAC),
        source_protocol_addr: target,
        target_hardware_addr: sender.0,
        target_protocol_addr: sender.1,
    };
    link.send_arp(reply.buffer_len(), |packet| reply.emit(&mut ArpPacket::new_unchecked(packet)));
}

/// The same for neighbour discovery.
pub(super) fn neighbour(link: &mut Link, target: Ipv6Addr, asked_by: Ipv6Addr) {
    let advert = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
        flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE | NdiscNeighborFlags::ROUTER,
        target_addr: target,
        lladdr: Some(RawHardwareAddress::from_bytes(&UserNet::GATEWAY_MAC)),
    });
    send_icmpv6(link, target, asked_by, NDP_HOP_LIMIT, &advert);
}

/// A datagram from `key.peer` to the guest.
pub(super) fn datagram(link: &mut Link, key: FlowKey, payload: &[u8]) {
    let (source, guest) = (IpAddress::from(key.peer.ip()), IpAddress::from(guest_towards(key.peer.ip())));
    let udp = UdpRepr { src_port: key.peer.port(), dst_port: key.guest_port };
    let udp_bytes = udp.header_len() + payload.len();
    let ip = IpRepr::new(source, guest, IpProtocol::Udp, udp_bytes, HOP_LIMIT);
    let checksums = ChecksumCapabilities::default();
    link.send_ip(ip.buffer_len(), |packet| {
        ip.emit(&mut *packet, &checksums);
        let body = &mut packet[ip.header_len()..];
        let fill = |room: &mut [u8]| room.copy_from_slice(payload);
        udp.emit(&mut UdpPacket::new_unchecked(body), &source, &guest, payload.len(), fill, &checksums);
    });
}

/// "You may not send there": the answer to `packet`, which a policy stopped on its way to `destination`.
pub(super) fn prohibited(link: &mut Link, destination: SocketAddr, packet: &[u8]) {
    match destination.ip() {
        IpAddr::V4(_) => prohibited_v4(link, packet),
        IpAddr::V6(destination) => prohibited_v6(link, destination, packet),
    }
}

/// How much of the offending packet an answer quotes: enough to find its socket by.
const QUOTE_BYTES: usize = 64;

fn prohibited_v4(link: &mut Link, packet: &[u8]) {
    let Ok(stopped) = Ipv4Packet::new_checked(packet) else { return };
    let payload = stopped.payload();
    let quoted = Ipv4Repr {
        src_addr: stopped.src_addr(),
        dst_addr: stopped.dst_addr(),
        next_header: stopped.next_header(),
        payload_len: payload.len(),
        hop_limit: stopped.hop_limit(),
    };
    let icmp = Icmpv4Repr::DstUnreachable {
        reason: Icmpv4DstUnreachable::CommProhibited,
        header: quoted,
        data: &payload[..payload.len().min(QUOTE_BYTES)],
    };
    let ip = Ipv4Repr {
        src_addr: UserNet::GATEWAY_V4,
        dst_addr: UserNet::GUEST_V4,
        next_header: IpProtocol::Icmp,
        payload_len: icmp.buffer_len(),
        hop_limit: HOP_LIMIT,
    };
    let checksums = ChecksumCapabilities::default();
    link.send_ip(ip.buffer_len() + icmp.buffer_len(), |packet| {
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut *packet), &checksums);
        icmp.emit(&mut Icmpv4Packet::new_unchecked(&mut packet[ip.buffer_len()..]), &checksums);
    });
}

fn prohibited_v6(link: &mut Link, destination: Ipv6Addr, packet: &[u8]) {
    let Ok(stopped) = Ipv6Packet::new_checked(packet) else { return };
    let payload = stopped.payload();
    let quoted = Ipv6Repr {
        src_addr: stopped.src_addr(),
        dst_addr: destination,
        next_header: stopped.next_header(),
        payload_len: payload.len(),
        hop_limit: stopped.hop_limit(),
    };
    let icmp = Icmpv6Repr::DstUnreachable {
        reason: Icmpv6DstUnreachable::AdminProhibit,
        header: quoted,
        data: &payload[..payload.len().min(QUOTE_BYTES)],
    };
    send_icmpv6(link, UserNet::GATEWAY_V6, UserNet::GUEST_V6, HOP_LIMIT, &icmp);
}

fn send_icmpv6(
    link: &mut Link,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    icmp: &Icmpv6Repr<'_>,
) {
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Icmpv6,
        payload_len: icmp.buffer_len(),
        hop_limit,
    };
    let checksums = ChecksumCapabilities::default();
    link.send_ip(ip.buffer_len() + icmp.buffer_len(), |packet| {
        ip.emit(&mut Ipv6Packet::new_unchecked(&mut *packet));
        let mut body = Icmpv6Packet::new_unchecked(&mut packet[ip.buffer_len()..]);
        icmp.emit(&source, &destination, &mut body, &checksums);
    });
}
