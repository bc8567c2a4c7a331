//! UDP between two stacks, and how a NIC gets its addresses.

use alloc::vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Waker;
use core::time::Duration;

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

use super::super::stack::Stack;
use super::super::{Error, StaticConfig, StaticIpv4};
use super::{Pair, bare_nic, mac, nic, random, stack, v4, v6};
use crate::time::Instant;

fn receive(stack: &mut Stack, port: u16, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    stack.udp_receive(port, buffer, Waker::noop())
}

#[test]
fn datagrams_are_echoed_over_both_protocols() {
    let mut pair = Pair::new();
    pair.two.udp_bind(None, 7).unwrap();
    for (own, other) in [(v4(1), v4(2)), (v6(1), v6(2))] {
        let port = pair.one.udp_bind(None, 0).unwrap();
        assert_eq!(pair.one.udp_send(port, b"hello", SocketAddr::new(other, 7)), Ok(true));
        pair.settle();
        let mut buffer = [0; 16];
        let (size_bytes, from) = receive(&mut pair.two, 7, &mut buffer).unwrap();
        assert_eq!((&buffer[..size_bytes], from), (&b"hello"[..], SocketAddr::new(own, port)));
        assert_eq!(pair.two.udp_send(7, &buffer[..size_bytes], from), Ok(true));
        pair.settle();
        assert_eq!(receive(&mut pair.one, port, &mut buffer), Some((5, SocketAddr::new(other, 7))));
    }
}

#[test]
fn datagrams_beyond_the_limits_are_dropped() {
    let mut pair = Pair::new();
    pair.two.udp_bind(None, 7).unwrap();
    let port = pair.one.udp_bind(None, 0).unwrap();
    let to = SocketAddr::new(v4(2), 7);
    for _ in 0..1_000 {
        pair.one.udp_send(port, &[1; 1_400], to).unwrap();
        pair.settle();
    }
    let mut count = 0;
    while receive(&mut pair.two, 7, &mut [0; 1_500]).is_some() {
        count += 1;
    }
    assert_eq!(count, 256 * 1024 / 1_400);
    assert_eq!(pair.one.udp_send(port, &[1; 1_472], to), Ok(true));
    assert_eq!(pair.one.udp_send(port, &[1; 1_473], to), Err(Error::TooLong));
}

#[test]
fn full_transmit_queue_holds_datagrams_back() {
    let mut pair = Pair::new();
    pair.one.udp_bind(None, 9).unwrap();
    pair.one.udp_send(9, b"x", SocketAddr::new(v4(2), 7)).unwrap();
    pair.settle();
    let room = (0..1_000).take_while(|_| pair.one.udp_send(9, b"x", SocketAddr::new(v4(2), 7)) == Ok(true));
    assert_eq!(room.count(), 64);
}

/// A DHCP server on host 1 that answers as `answer` says.
pub(super) fn serve_dhcp(
    pair: &mut Pair,
    answer: impl Fn(DhcpMessageType) -> Option<DhcpMessageType>,
) -> bool {
    let mut buffer = [0; 1_500];
    let Some((size_bytes, _)) = receive(&mut pair.one, 67, &mut buffer) else { return false };
    let packet = DhcpPacket::new_checked(&buffer[..size_bytes]).unwrap();
    let request = DhcpRepr::parse(&packet).unwrap();
    assert_eq!(request.client_hardware_address, EthernetAddress(mac(2)));
    let Some(kind) = answer(request.message_type) else { return true };
    let reply = DhcpRepr {
        message_type: kind,
        your_ip: Ipv4Addr::new(10, 0, 0, 77),
        server_identifier: Some(Ipv4Addr::new(10, 0, 0, 1)),
        router: Some(Ipv4Addr::new(10, 0, 0, 1)),
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        dns_servers: Some([Ipv4Addr::new(10, 0, 0, 53)].into_iter().collect()),
        lease_duration: Some(600),
        renew_duration: None,
        rebind_duration: None,
        requested_ip: None,
        client_identifier: None,
        parameter_request_list: None,
        max_size: None,
        ..request
    };
    let mut out = vec![0; reply.buffer_len()];
    reply.emit(&mut DhcpPacket::new_unchecked(&mut out[..])).unwrap();
    // The server's own neighbour lookup cannot work yet: it answers to everybody.
    let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::BROADCAST), 68);
    assert_eq!(pair.one.udp_send(67, &out, to), Ok(true));
    true
}

pub(super) fn usual(request: DhcpMessageType) -> Option<DhcpMessageType> {
    let discover = request == DhcpMessageType::Discover;
    Some(if discover { DhcpMessageType::Offer } else { DhcpMessageType::Ack })
}

#[test]
fn dhcp_gives_an_address_and_renews_it() {
    let mut pair = Pair::of(stack(&nic(1)), stack(&bare_nic(2)));
    pair.one.udp_bind(None, 67).unwrap();
    assert!(!pair.two.is_up(Waker::noop()));
    for _ in 0..4 {
        pair.settle();
        serve_dhcp(&mut pair, usual);
    }
    pair.settle();
    assert!(pair.two.is_up(Waker::noop()));
    let config = pair.two.nics[0].config();
    assert_eq!(config.ipv4, Some((Ipv4Addr::new(10, 0, 0, 77), 24)));
    assert_eq!(config.gateway4, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(config.resolvers, [IpAddr::from([10, 0, 0, 53])]);
    // Half an hour of renewals, every five minutes.
    let mut renewals = 0;
    let end = pair.now.saturating_add(Duration::from_secs(1_800));
    while pair.now < end {
        pair.step(end);
        while serve_dhcp(&mut pair, usual) {
            renewals += 1;
            pair.settle();
        }
        assert!(pair.two.nics[0].config().ipv4.is_some());
    }
    assert!((5..=7).contains(&renewals), "{renewals}");
    // The server goes away: the address is given up when the lease ends.
    pair.pass(Duration::from_secs(700));
    assert_eq!(pair.two.nics[0].config().ipv4, None);
}

#[test]
fn refused_dhcp_request_starts_over() {
    let mut pair = Pair::of(stack(&nic(1)), stack(&bare_nic(2)));
    pair.one.udp_bind(None, 67).unwrap();
    for _ in 0..3 {
        pair.settle();
        serve_dhcp(&mut pair, |request| {
            if request == DhcpMessageType::Request { Some(DhcpMessageType::Nak) } else { usual(request) }
        });
    }
    assert_eq!(pair.two.nics[0].config().ipv4, None);
    for _ in 0..4 {
        pair.pass(Duration::from_secs(2));
        serve_dhcp(&mut pair, usual);
    }
    pair.settle();
    assert!(pair.two.nics[0].config().ipv4.is_some());
}

#[test]
fn boot_information_wins_over_baked_addresses() {
    let baked =
        StaticIpv4 { address: Ipv4Addr::new(192, 0, 2, 9), prefix: 24, gateway: None, resolver: None };
    let baked = StaticConfig { ipv4: Some(baked), ipv6: None };
    let mut stack = Stack::new(random, usize::MAX);
    stack.add_nic(&nic(3), Some(&baked), Instant::default());
    stack.add_nic(&bare_nic(4), Some(&baked), Instant::default());
    assert_eq!(stack.nics[0].config().ipv4, Some((Ipv4Addr::new(10, 0, 0, 3), 24)));
    assert_eq!(stack.nics[1].config().ipv4, Some((Ipv4Addr::new(192, 0, 2, 9), 24)));
}
