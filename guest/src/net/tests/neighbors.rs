//! ARP, NDP, pings and router advertisements.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet,
    Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpProtocol, IpRepr, NdiscNeighborFlags, NdiscPrefixInfoFlags,
    NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags,
};

use super::{Pair, bare_nic, mac, nic, sent, stack, v4, v6};
use crate::time::Instant;

const NOW: Instant = Instant::from_ns(1_000_000_000);
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub(super) fn ethernet(from: u8, to: [u8; 6], protocol: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 14 + payload.len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_src_addr(EthernetAddress(mac(from)));
    ethernet.set_dst_addr(EthernetAddress(to));
    ethernet.set_ethertype(protocol);
    ethernet.payload_mut().copy_from_slice(payload);
    frame
}

pub(super) fn arp(
    operation: ArpOperation,
    from: u8,
    source: Ipv4Addr,
    target: Ipv4Addr,
    to: [u8; 6],
) -> Vec<u8> {
    let message = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(mac(from)),
        source_protocol_addr: source,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut ArpPacket::new_unchecked(&mut payload));
    ethernet(from, to, EthernetProtocol::Arp, &payload)
}

/// An ICMPv6 message from host `from`, whose address is `source`.
pub(super) fn icmpv6(from: u8, source: Ipv6Addr, destination: Ipv6Addr, message: &Icmpv6Repr<'_>) -> Vec<u8> {
    let ip = IpRepr::new(source.into(), destination.into(), IpProtocol::Icmpv6, message.buffer_len(), 255);
    let mut payload = vec![0; ip.buffer_len()];
    ip.emit(&mut payload[..], &ChecksumCapabilities::default());
    let mut packet = Icmpv6Packet::new_unchecked(&mut payload[40..]);
    message.emit(&source, &destination, &mut packet, &ChecksumCapabilities::default());
    let to = if destination.is_multicast() { [0x33, 0x33, 0, 0, 0, 1] } else { mac(2) };
    ethernet(from, to, EthernetProtocol::Ipv6, &payload)
}

pub(super) fn ipv6(address: IpAddr) -> Ipv6Addr {
    let IpAddr::V6(address) = address else { panic!("{address} is not IPv6") };
    address
}

/// The ARP messages among frames.
fn arps(frames: &[Vec<u8>]) -> Vec<ArpRepr> {
    let parse = |frame: &Vec<u8>| {
        let ethernet = EthernetFrame::new_checked(&frame[..]).unwrap();
        let arp = ethernet.ethertype() == EthernetProtocol::Arp;
        arp.then(|| ArpRepr::parse(&ArpPacket::new_checked(ethernet.payload()).unwrap()).unwrap())
    };
    frames.iter().filter_map(parse).collect()
}

#[test]
fn arp_request_for_our_address_is_answered_and_for_another_is_not() {
    let mut two = stack(&nic(2));
    sent(&mut two, NOW);
    let (one, ours, other) =
        (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
    two.receive(0, &arp(ArpOperation::Request, 1, one, other, [0xff; 6]), 0, NOW);
    assert!(sent(&mut two, NOW).is_empty());
    two.receive(0, &arp(ArpOperation::Request, 1, one, ours, [0xff; 6]), 0, NOW);
    assert_eq!(
        arps(&sent(&mut two, NOW)),
        [ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: EthernetAddress(mac(2)),
            source_protocol_addr: ours,
            target_hardware_addr: EthernetAddress(mac(1)),
            target_protocol_addr: one,
        }]
    );
}

#[test]
fn unanswered_arp_is_asked_three_times_and_then_forgotten() {
    let mut two = stack(&nic(2));
    sent(&mut two, NOW);
    two.udp_bind(None, 9).unwrap();
    let mut now = NOW;
    let mut asked = 0;
    for _ in 0..10 {
        // Packets for a silent neighbour pile up to a bound.
        for _ in 0..10 {
            if now == NOW {
                two.udp_send(9, b"x", SocketAddr::new(v4(50), 9)).unwrap();
            }
        }
        asked += arps(&sent(&mut two, now)).len();
        now = now.saturating_add(Duration::from_secs(1));
    }
    assert_eq!(asked, 3);
    let stats = two.stats();
    assert_eq!((stats.neighbors, stats.send_dropped), (0, 10));
}

#[test]
fn slow_neighbour_holds_nobody_else_back() {
    let mut pair = Pair::new();
    pair.one.udp_bind(None, 9).unwrap();
    pair.two.udp_bind(None, 7).unwrap();
    for silent in 100..200 {
        pair.one.udp_send(9, b"x", SocketAddr::new(v4(silent), 7)).unwrap();
        pair.settle();
    }
    pair.one.udp_send(9, b"x", SocketAddr::new(v4(2), 7)).unwrap();
    pair.settle();
    assert!(pair.two.udp_receive(7, &mut [0; 4], core::task::Waker::noop()).is_some());
}

#[test]
fn neighbour_table_is_bounded() {
    let mut two = stack(&nic(2));
    two.udp_bind(None, 9).unwrap();
    for number in 0..2_000_u16 {
        let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, number);
        two.udp_send(9, b"x", SocketAddr::new(address.into(), 7)).unwrap();
        sent(&mut two, NOW);
    }
    assert_eq!(two.stats().neighbors, 256);
}

#[test]
fn whoever_sends_to_us_needs_no_arp() {
    let mut pair = Pair::new();
    pair.one.udp_bind(None, 9).unwrap();
    pair.two.udp_bind(None, 7).unwrap();
    pair.one.udp_send(9, b"x", SocketAddr::new(v4(2), 7)).unwrap();
    pair.settle();
    pair.two.udp_send(7, b"x", SocketAddr::new(v4(1), 9)).unwrap();
    assert!(arps(&sent(&mut pair.two, pair.now)).is_empty());
}

#[test]
fn traffic_does_not_redirect_a_known_neighbour() {
    let mut two = stack(&nic(2));
    two.udp_bind(None, 9).unwrap();
    let (one, ours) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    two.receive(0, &arp(ArpOperation::Request, 1, one, ours, mac(2)), 0, NOW);
    // Host 66 sends a packet under host 1's address.
    let mut forged = ping_v4(1, 2);
    forged[6..12].copy_from_slice(&mac(66));
    two.receive(0, &forged, 0, NOW);
    for frame in sent(&mut two, NOW).iter().skip(1) {
        assert_eq!(frame[..6], mac(1));
    }
}

pub(super) fn ping_v4(from: u8, to: u8) -> Vec<u8> {
    let message = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data: b"are you there?" };
    let source = Ipv4Addr::new(10, 0, 0, from);
    let destination = Ipv4Addr::new(10, 0, 0, to);
    let ip = IpRepr::new(source.into(), destination.into(), IpProtocol::Icmp, message.buffer_len(), 64);
    let checks = ChecksumCapabilities::default();
    let mut payload = vec![0; ip.buffer_len()];
    ip.emit(&mut payload[..], &checks);
    message.emit(&mut Icmpv4Packet::new_unchecked(&mut payload[20..]), &checks);
    ethernet(from, mac(to), EthernetProtocol::Ipv4, &payload)
}

#[test]
fn pings_are_answered() {
    let mut two = stack(&nic(2));
    sent(&mut two, NOW);
    two.receive(0, &ping_v4(1, 2), 0, NOW);
    let answers = sent(&mut two, NOW);
    assert_eq!(answers.len(), 1);
    let packet = Icmpv4Packet::new_checked(&answers[0][34..]).unwrap();
    let expected = Icmpv4Repr::EchoReply { ident: 1, seq_no: 2, data: b"are you there?" };
    assert_eq!(Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).unwrap(), expected);

    let message = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 2, data: b"and you?" };
    two.receive(0, &icmpv6(1, ipv6(v6(1)), ipv6(v6(2)), &message), 0, NOW);
    let answers = sent(&mut two, NOW);
    assert_eq!(answers.len(), 1);
    let packet = Icmpv6Packet::new_checked(&answers[0][54..]).unwrap();
    let parsed = Icmpv6Repr::parse(&ipv6(v6(2)), &ipv6(v6(1)), &packet, &ChecksumCapabilities::default());
    assert_eq!(parsed.unwrap(), Icmpv6Repr::EchoReply { ident: 1, seq_no: 2, data: b"and you?" });
}

#[test]
fn neighbour_solicitation_is_answered_and_only_from_the_link() {
    let mut two = stack(&nic(2));
    sent(&mut two, NOW);
    let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
        target_addr: ipv6(v6(2)),
        lladdr: Some(EthernetAddress(mac(1)).into()),
    });
    let group = super::super::addresses::solicited_node(ipv6(v6(2)));
    let good = icmpv6(1, ipv6(v6(1)), group, &message);
    two.receive(0, &good, 0, NOW);
    let answers = sent(&mut two, NOW);
    assert_eq!(answers.len(), 1);
    let packet = Icmpv6Packet::new_checked(&answers[0][54..]).unwrap();
    let parsed = Icmpv6Repr::parse(&ipv6(v6(2)), &ipv6(v6(1)), &packet, &ChecksumCapabilities::default());
    assert_eq!(
        parsed.unwrap(),
        Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
            target_addr: ipv6(v6(2)),
            lladdr: Some(EthernetAddress(mac(2)).into()),
        })
    );
    // A hop limit below 255 has come through a router.
    let mut routed = good;
    routed[14 + 7] = 64;
    two.receive(0, &routed, 0, NOW);
    assert!(sent(&mut two, NOW).is_empty());
}

pub(super) fn advertisement(router_lifetime: u64, prefix_lifetime: u64) -> Icmpv6Repr<'static> {
    let seconds = smoltcp::time::Duration::from_secs;
    Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: seconds(router_lifetime),
        reachable_time: seconds(0),
        retrans_time: seconds(0),
        lladdr: Some(EthernetAddress(mac(1)).into()),
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len: 64,
            flags: NdiscPrefixInfoFlags::ADDRCONF | NdiscPrefixInfoFlags::ON_LINK,
            valid_lifetime: seconds(prefix_lifetime),
            preferred_lifetime: seconds(prefix_lifetime),
            prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        }),
    })
}

#[test]
fn router_advertisement_gives_an_address_and_a_router() {
    let mut two = stack(&bare_nic(2));
    let solicitations = sent(&mut two, NOW);
    assert!(solicitations.iter().any(|frame| frame[..6] == [0x33, 0x33, 0, 0, 0, 2]));
    let router = "fe80::1".parse::<Ipv6Addr>().unwrap();
    let forged = icmpv6(1, ipv6(v6(1)), ALL_NODES, &advertisement(1_800, 3_600));
    two.receive(0, &forged, 0, NOW);
    assert_eq!(two.nics[0].config().ipv6, None, "routers speak from their link-local address");
    two.receive(0, &icmpv6(1, router, ALL_NODES, &advertisement(1_800, 9_000)), 0, NOW);
    let config = two.nics[0].config();
    assert_eq!(config.ipv6, Some(("2001:db8::ff:fe00:2".parse().unwrap(), 64)));
    assert_eq!(config.gateway6, Some(router));
    // A forged farewell takes the router, which comes back by itself, but not the address.
    two.receive(0, &icmpv6(1, router, ALL_NODES, &advertisement(0, 0)), 0, NOW);
    assert_eq!(two.nics[0].config().gateway6, None);
    let later = NOW.saturating_add(Duration::from_secs(7_000));
    two.poll(later);
    assert!(two.nics[0].config().ipv6.is_some());
    two.poll(NOW.saturating_add(Duration::from_secs(9_001)));
    assert_eq!(two.nics[0].config().ipv6, None);
}
