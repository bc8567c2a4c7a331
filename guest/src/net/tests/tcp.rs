//! TCP between two stacks.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::Waker;
use core::time::Duration;

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, Ipv4Packet, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber,
};

use super::super::Error;
use super::super::tcp::{Buffers, ConnectionId, ListenOptions};
use super::{Dice, Pair, accept, listen, mac, nic, read, ready, sent, stack, v4, v6, write};
use crate::time::Instant;

/// Moves `bytes` each way over a connection, byte by byte the same, and gives the time it took.
pub(super) fn exchange(
    pair: &mut Pair,
    client: ConnectionId,
    server: ConnectionId,
    size_bytes: usize,
) -> Duration {
    let start = pair.now;
    let mut dice = Dice(size_bytes as u64);
    let data: Vec<u8> = (0..size_bytes).map(|_| dice.next().to_le_bytes()[0]).collect();
    let (mut up, mut down) = (0, 0);
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    let end = pair.now.saturating_add(Duration::from_secs(600));
    while got_up.len() < size_bytes || got_down.len() < size_bytes {
        let mut moved = 0;
        let sent = write(&mut pair.one, client, &data[up..]);
        up += sent;
        moved += sent;
        let sent = write(&mut pair.two, server, &data[down..]);
        down += sent;
        moved += sent;
        while let Some(count) = read(&mut pair.two, server, &mut buffer) {
            got_up.extend_from_slice(&buffer[..count.unwrap()]);
            moved += 1;
        }
        while let Some(count) = read(&mut pair.one, client, &mut buffer) {
            got_down.extend_from_slice(&buffer[..count.unwrap()]);
            moved += 1;
        }
        if moved == 0 {
            assert!(pair.now < end, "stuck at {} and {} bytes", got_up.len(), got_down.len());
            pair.step(end);
        } else {
            pair.settle();
        }
    }
    assert!(got_up == data && got_down == data, "the bytes that arrived are not those that were sent");
    pair.now.duration_since(start)
}

fn assert_empty(pair: &mut Pair) {
    for stack in [&mut pair.one, &mut pair.two] {
        let stats = stack.stats();
        assert_eq!((stats.connections, stats.handshakes, stats.time_wait), (0, 0, 0));
        assert_eq!((stack.tcp.table.flows_len(), stack.tcp.table.dirty_len()), (0, 0));
        assert!(stack.tcp.table.timers_len() <= 65, "{}", stack.tcp.table.timers_len());
    }
}

#[test]
fn a_megabyte_each_way_arrives_unchanged() {
    for to in [v4(2), v6(2)] {
        let mut pair = Pair::new();
        listen(&mut pair.two, 7);
        let (client, server) = pair.connect(to, 7).unwrap();
        let took = exchange(&mut pair, client, server, 1 << 20);
        assert!(took < Duration::from_secs(1), "{took:?} of simulated time without any loss");
    }
}

#[test]
fn a_megabyte_each_way_arrives_unchanged_over_a_bad_link() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    pair.link.loss = 50;
    pair.link.reorder = 20;
    let (client, server) = pair.connect(v4(2), 7).unwrap();
    exchange(&mut pair, client, server, 1 << 20);
}

#[test]
fn a_thousand_connections_one_after_the_other_leave_nothing() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let mut buffer = [0; 16];
    for round in 0..1_000 {
        let (client, server) = pair.connect(v4(2), 7).unwrap();
        assert_eq!(write(&mut pair.one, client, b"ping"), 4);
        pair.settle();
        assert_eq!(read(&mut pair.two, server, &mut buffer), Some(Ok(4)));
        // Every way of ending, either side first.
        match round % 4 {
            0 => {
                pair.one.tcp_release(client, false);
                pair.settle();
                assert_eq!(read(&mut pair.two, server, &mut buffer), Some(Ok(0)));
                pair.two.tcp_release(server, false);
            }
            1 => {
                pair.two.tcp_release(server, false);
                pair.one.tcp_release(client, false);
            }
            2 => {
                pair.one.tcp_release(client, true);
                pair.settle();
                assert_eq!(read(&mut pair.two, server, &mut buffer), Some(Err(Error::Reset)));
                pair.two.tcp_release(server, false);
            }
            _ => {
                pair.two.tcp_shutdown(server);
                pair.settle();
                assert_eq!(read(&mut pair.one, client, &mut buffer), Some(Ok(0)));
                pair.one.tcp_release(client, false);
                pair.settle();
                assert_eq!(ready(pair.two.tcp_closed(server, Waker::noop())), Ok(()));
                pair.two.tcp_release(server, false);
            }
        }
        pair.settle();
        assert!(pair.one.stats().connections <= 1 && pair.two.stats().connections <= 1, "round {round}");
    }
    pair.pass(Duration::from_secs(5));
    assert_empty(&mut pair);
}

#[test]
fn ended_connections_are_remembered_for_a_bounded_number() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    for _ in 0..1_100 {
        let (client, server) = pair.connect(v4(2), 7).unwrap();
        pair.one.tcp_release(client, false);
        pair.settle();
        pair.two.tcp_release(server, false);
        pair.settle();
    }
    assert!(pair.one.stats().time_wait <= 1_024);
    assert_eq!(pair.two.stats().time_wait, 0, "TIME-WAIT is for the side that ends first");
}

#[test]
fn half_closed_stream_still_carries_the_other_direction() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, server) = pair.connect(v4(2), 7).unwrap();
    pair.one.tcp_shutdown(client);
    pair.settle();
    let mut buffer = [0; 8];
    assert_eq!(read(&mut pair.two, server, &mut buffer), Some(Ok(0)));
    assert_eq!(write(&mut pair.two, server, b"later"), 5);
    pair.settle();
    assert_eq!(read(&mut pair.one, client, &mut buffer), Some(Ok(5)));
    assert_eq!(ready(pair.one.tcp_write(client, b"x", Waker::noop())), Err(Error::NotConnected));
}

#[test]
fn data_written_before_a_drop_is_delivered() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, server) = pair.connect(v4(2), 7).unwrap();
    let data = vec![5; 20_000];
    assert_eq!(write(&mut pair.one, client, &data), data.len());
    pair.one.tcp_release(client, false);
    pair.pass(Duration::from_secs(2));
    let mut got = 0;
    let mut buffer = [0; 4096];
    while let Some(Ok(count @ 1..)) = read(&mut pair.two, server, &mut buffer) {
        got += count;
        pair.settle();
    }
    assert_eq!(got, data.len());
    assert_eq!(read(&mut pair.two, server, &mut buffer), Some(Ok(0)));
}

#[test]
fn drop_with_unread_data_resets_the_peer() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, server) = pair.connect(v4(2), 7).unwrap();
    write(&mut pair.one, client, b"unread");
    pair.settle();
    pair.two.tcp_release(server, false);
    pair.settle();
    assert_eq!(read(&mut pair.one, client, &mut [0; 8]), Some(Err(Error::Reset)));
    assert_eq!(pair.two.stats().connections, 0);
}

#[test]
fn closed_port_refuses() {
    for to in [v4(2), v6(2)] {
        let mut pair = Pair::new();
        assert_eq!(pair.connect(to, 9).unwrap_err(), Error::Refused);
        pair.settle();
        assert_eq!(pair.one.stats().connections, 0);
    }
}

#[test]
fn silent_host_times_out() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    pair.link.loss = 1;
    assert_eq!(pair.connect(v4(2), 7).unwrap_err(), Error::TimedOut);
    pair.pass(Duration::from_secs(2));
    assert_empty(&mut pair);
}

#[test]
fn peer_that_vanishes_under_data_is_given_up() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, _) = pair.connect(v4(2), 7).unwrap();
    pair.link.loss = 1;
    write(&mut pair.one, client, b"anybody there?");
    pair.pass(Duration::from_secs(100));
    assert_eq!(read(&mut pair.one, client, &mut [0; 8]), None, "too early");
    pair.pass(Duration::from_secs(100));
    assert_eq!(read(&mut pair.one, client, &mut [0; 8]), Some(Err(Error::TimedOut)));
}

#[test]
fn keep_alive_finds_out_that_a_peer_is_gone() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, _) = pair.connect(v4(2), 7).unwrap();
    pair.one.tcp_configure(client, None, Some(Some(Duration::from_secs(5))));
    pair.pass(Duration::from_secs(120));
    assert_eq!(read(&mut pair.one, client, &mut [0; 8]), None, "the peer answers");
    pair.link.loss = 1;
    pair.pass(Duration::from_secs(40));
    assert_eq!(read(&mut pair.one, client, &mut [0; 8]), Some(Err(Error::TimedOut)));
}

/// An acknowledgement from host 1 that a test can change.
fn acknowledgement(pair: &mut Pair, server: ConnectionId) -> Vec<u8> {
    write(&mut pair.two, server, b"x");
    for frame in sent(&mut pair.two, pair.now) {
        pair.one.receive(0, &frame, 0, pair.now);
    }
    pair.one.poll(pair.now);
    pair.now = pair.now.saturating_add(Duration::from_millis(20));
    let frame = sent(&mut pair.one, pair.now).pop().unwrap();
    pair.two.receive(0, &frame, 0, pair.now);
    pair.settle();
    frame
}

/// `frame` with another acknowledgement number and a closed window.
fn acknowledge(frame: &[u8], number: TcpSeqNumber) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
    let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    tcp.set_ack_number(number);
    tcp.set_window_len(0);
    frame
}

#[test]
fn window_closed_as_the_stream_ends_makes_no_storm() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (_, server) = pair.connect(v4(2), 7).unwrap();
    let template = acknowledgement(&mut pair, server);
    write(&mut pair.two, server, &[1; 1_900]);
    pair.two.tcp_shutdown(server);
    let ends: Vec<_> = sent(&mut pair.two, pair.now)
        .iter()
        .map(|frame| {
            let tcp = TcpPacket::new_checked(&frame[34..]).unwrap();
            tcp.seq_number() + tcp.segment_len()
        })
        .collect();
    assert_eq!(ends.len(), 2);
    // All of it is acknowledged, the end of the stream too, but the window is closed.
    for end in ends {
        let frame = acknowledge(&template, end);
        pair.two.receive(0, &frame, hvcall::frame::FLAG_NEEDS_CSUM, pair.now);
        pair.two.poll(pair.now);
    }
    let mut count = 0;
    let end = pair.now.saturating_add(Duration::from_secs(60));
    while pair.now < end {
        pair.now = pair.two.deadline().max(pair.now.saturating_add(Duration::from_micros(100))).min(end);
        count += sent(&mut pair.two, pair.now).len();
    }
    assert!(count < 100, "{count} frames in a minute");
}

#[test]
fn without_a_route_connecting_fails_at_once() {
    let mut alone = stack(&super::bare_nic(1));
    let connect =
        |stack: &mut super::Stack, to| stack.tcp_connect(SocketAddr::new(to, 7), Buffers::default());
    assert_eq!(connect(&mut alone, v4(2)).unwrap_err(), Error::NoRoute);
    let mut alone = stack(&nic(1));
    assert_eq!(connect(&mut alone, v4(1)).unwrap_err(), Error::NoRoute, "our own address");
    assert_eq!(connect(&mut alone, IpAddr::from([127, 0, 0, 1])).unwrap_err(), Error::NoRoute);
    assert_eq!(connect(&mut alone, IpAddr::from([224, 0, 0, 1])).unwrap_err(), Error::InvalidAddress);
}

#[test]
fn port_is_listened_on_once() {
    let mut stack = stack(&nic(1));
    listen(&mut stack, 7);
    assert_eq!(stack.tcp_listen(None, 7, ListenOptions::default()), Err(Error::AddressInUse));
    stack.tcp_unlisten(7);
    listen(&mut stack, 7);
}

#[test]
fn listener_that_goes_away_resets_who_waits() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, _) = pair.one.tcp_connect(SocketAddr::new(v4(2), 7), Buffers::default()).unwrap();
    pair.settle();
    pair.two.tcp_unlisten(7);
    pair.settle();
    assert_eq!(read(&mut pair.one, client, &mut [0; 8]), Some(Err(Error::Reset)));
    assert_eq!(pair.two.stats().connections, 0);
}

/// A SYN from 10.0.0.`host` to port 7 of host 2.
fn syn(host: u8, port: u16) -> Vec<u8> {
    let from = IpAddress::v4(10, 0, 0, host);
    let to = IpAddress::v4(10, 0, 0, 2);
    let tcp = TcpRepr {
        src_port: port,
        dst_port: 7,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(1),
        ack_number: None,
        window_len: 1000,
        window_scale: None,
        max_seg_size: Some(1460),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let mut frame = vec![0; 14 + 20 + tcp.buffer_len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress(mac(2)));
    ethernet.set_src_addr(EthernetAddress(mac(host)));
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let ip = smoltcp::wire::IpRepr::new(from, to, smoltcp::wire::IpProtocol::Tcp, tcp.buffer_len(), 64);
    let checks = smoltcp::phy::ChecksumCapabilities::default();
    ip.emit(ethernet.payload_mut(), &checks);
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    tcp.emit(&mut TcpPacket::new_unchecked(packet.payload_mut()), &from, &to, &checks);
    frame
}

#[test]
fn syn_flood_stays_bounded_and_others_go_on() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, server) = pair.connect(v4(2), 7).unwrap();
    for port in 1..=20_000 {
        pair.two.receive(0, &syn(66, port), 0, pair.now);
        if port % 64 == 0 {
            pair.now = pair.now.saturating_add(Duration::from_millis(20));
            sent(&mut pair.two, pair.now);
        }
        let stats = pair.two.stats();
        assert!(stats.connections <= 129 && stats.handshakes <= 128, "{stats:?}");
    }
    assert!(exchange(&mut pair, client, server, 50_000) < Duration::from_secs(5));
    // Old half-open connections give way, so a newcomer gets through, if not at once.
    pair.pass(Duration::from_secs(2));
    pair.connect(v4(2), 7).unwrap();
    pair.pass(Duration::from_secs(30));
    assert_eq!(pair.two.stats().handshakes, 0);
}

#[test]
fn connections_beyond_the_backlog_wait_until_there_is_room() {
    let mut pair = Pair::new();
    let options = ListenOptions { backlog: 4, ..ListenOptions::default() };
    pair.two.tcp_listen(None, 7, options).unwrap();
    for _ in 0..8 {
        pair.one.tcp_connect(SocketAddr::new(v4(2), 7), Buffers::default()).unwrap();
        pair.settle();
    }
    assert_eq!(pair.two.stats().connections, 4);
    let mut accepted = 0;
    for _ in 0..10 {
        while accept(&mut pair.two, 7).is_some() {
            accepted += 1;
        }
        pair.pass(Duration::from_secs(1));
    }
    assert_eq!(accepted, 8);
}

#[test]
fn memory_for_connections_is_bounded_and_comes_back() {
    let mut two = super::Stack::new(super::random, 300 * 1024);
    two.add_nic(&nic(2), None, Instant::default());
    let mut pair = Pair::of(stack(&nic(1)), two);
    listen(&mut pair.two, 7);
    let held: Vec<_> = (0..4).map(|_| pair.connect(v4(2), 7).unwrap()).collect();
    let (late, _) = pair.one.tcp_connect(SocketAddr::new(v4(2), 7), Buffers::default()).unwrap();
    pair.settle();
    assert_eq!(pair.two.stats().connections, 4);
    pair.two.tcp_release(held[0].1, true);
    pair.pass(Duration::from_secs(4));
    assert_eq!(ready(pair.one.tcp_connected(late, Waker::noop())), Ok(()), "the peer asks again");
}

#[test]
fn cost_of_a_segment_does_not_grow_with_open_connections() {
    // Not a clock: the number of connections that a segment makes the stack look at.
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let connections: Vec<_> = (0..500).map(|_| pair.connect(v4(2), 7).unwrap()).collect();
    pair.pass(Duration::from_millis(100));
    let (client, _) = connections[250];
    write(&mut pair.one, client, b"one");
    for frame in sent(&mut pair.one, pair.now) {
        pair.two.receive(0, &frame, 0, pair.now);
    }
    assert_eq!(pair.two.tcp.table.dirty_len(), 1);
}

#[test]
fn late_fin_of_an_ended_connection_is_acknowledged() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    let (client, server) = pair.connect(v4(2), 7).unwrap();
    pair.one.tcp_release(client, false);
    pair.settle();
    pair.two.tcp_release(server, false);
    let fins = sent(&mut pair.two, pair.now);
    for frame in &fins {
        pair.one.receive(0, frame, 0, pair.now);
    }
    // The acknowledgement gets lost; the peer repeats its FIN.
    assert_eq!(sent(&mut pair.one, pair.now).len(), 1);
    assert_eq!(pair.one.stats().time_wait, 1);
    for frame in &fins {
        pair.one.receive(0, frame, 0, pair.now);
    }
    let answers = sent(&mut pair.one, pair.now);
    assert_eq!(answers.len(), 1);
    pair.two.receive(0, &answers[0], 0, pair.now);
    pair.settle();
    assert_eq!(pair.two.stats().connections, 0);
}

#[test]
fn initial_sequence_numbers_share_no_generator_state() {
    // Each connection reseeds: equal seeds give equal numbers, and nothing else carries over.
    let mut stack = stack(&nic(2));
    listen(&mut stack, 7);
    let mut numbers = Vec::new();
    for port in 1..100 {
        stack.receive(0, &syn(66, port), 0, Instant::from_ns(1_000_000_000));
        for frame in sent(&mut stack, Instant::from_ns(1_000_000_000)) {
            let ethernet = EthernetFrame::new_checked(&frame[..]).unwrap();
            if ethernet.ethertype() == EthernetProtocol::Ipv4 {
                let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
                numbers.push(TcpPacket::new_checked(ip.payload()).unwrap().seq_number().0);
            }
        }
    }
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(count > 90 && numbers.len() == count);
}
