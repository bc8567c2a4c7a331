//! Connections that we open: their ports, and peers that still remember who had them.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Waker;

use smoltcp::wire::{Ipv4Packet, TcpPacket, TcpSeqNumber};

use super::super::tcp::Buffers;
use super::{Pair, accept, listen, nic, ready, sent, stack, v4};
use crate::time::Instant;

/// `frame`, a bare acknowledgement of `number` from where the SYN in `frame` went.
fn acknowledgement_of_another(frame: &[u8], number: TcpSeqNumber) -> Vec<u8> {
    let mut answer = frame.to_vec();
    answer[..6].copy_from_slice(&frame[6..12]);
    answer[6..12].copy_from_slice(&frame[..6]);
    let mut ip = Ipv4Packet::new_unchecked(&mut answer[14..]);
    let (from, to) = (ip.src_addr(), ip.dst_addr());
    ip.set_src_addr(to);
    ip.set_dst_addr(from);
    ip.fill_checksum();
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    let (from, to) = (tcp.src_port(), tcp.dst_port());
    tcp.set_src_port(to);
    tcp.set_dst_port(from);
    tcp.set_syn(false);
    tcp.set_ack(true);
    tcp.set_ack_number(number);
    answer
}

#[test]
fn who_is_taken_for_an_older_connection_calls_again_at_once() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    // So that both know each other's MAC address.
    let _ = pair.connect(v4(2), 7).unwrap();
    let (client, _) = pair.one.tcp_connect(SocketAddr::new(v4(2), 7), Buffers::default()).unwrap();
    let segment = |frame: &[u8]| {
        let tcp = TcpPacket::new_checked(&frame[34..]).unwrap();
        (tcp.syn(), tcp.rst(), tcp.seq_number())
    };
    let old = TcpSeqNumber(77);
    let mut calls = sent(&mut pair.one, pair.now);
    let mut numbers = vec![];
    for again in [true, true, true, false, false] {
        assert_eq!(calls.len(), 1);
        assert!(segment(&calls[0]).0, "no SYN");
        numbers.push(segment(&calls[0]).2);
        let answer = acknowledgement_of_another(&calls[0], old);
        pair.one.receive(0, &answer, hvcall::frame::FLAG_NEEDS_CSUM, pair.now);
        let mut frames = sent(&mut pair.one, pair.now);
        assert_eq!(segment(&frames[0]), (false, true, old), "no reset");
        if again {
            frames.remove(0);
            calls = frames;
        } else {
            assert_eq!(frames.len(), 1, "anybody can forge this, and it has gone on often enough");
        }
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 4, "another number is another chance");
    // The last call is answered.
    pair.two.receive(0, &calls[0], 0, pair.now);
    pair.settle();
    assert!(ready(pair.one.tcp_connected(client, Waker::noop())).is_ok());
    assert!(accept(&mut pair.two, 7).is_some());
}

#[test]
fn a_destinations_ports_come_back_as_late_as_possible() {
    let mut stack = stack(&nic(1));
    let mut ports = |remote: SocketAddr| {
        let mut port = || {
            let (id, tuple) = stack.tcp_connect(remote, Buffers::default()).unwrap();
            stack.tcp_release(id, true);
            sent(&mut stack, Instant::from_ns(1_000_000_000));
            tuple.local_port
        };
        (0..16_384).map(|_| port()).collect::<Vec<_>>()
    };
    let one = ports(SocketAddr::new(v4(2), 7));
    let mut sorted = one.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, (49_152..=65_535).collect::<Vec<_>>());
    // What one destination sees says nothing about another's.
    assert_ne!(one[0], ports(SocketAddr::new(v4(2), 8))[0]);
}
