//! Frames made to break things. A panic ends the appliance, so none may happen, and what they leave behind is bounded.

use alloc::vec::Vec;
use core::time::Duration;

use hvcall::frame::FLAG_NEEDS_CSUM;
use smoltcp::wire::{
    ArpOperation, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv6Packet, Icmpv6Repr,
    IpProtocol, Ipv4Packet, Ipv6Packet, NdiscNeighborFlags, NdiscRepr, TcpPacket,
};

use super::super::stack::Stack;
use super::neighbors::{ALL_NODES, advertisement, arp, icmpv6, ipv6, ping_v4};
use super::{Dice, Pair, bare_nic, listen, mac, nic, read, sent, stack, v4, v6, write};

/// Everything hosts 1 and 2 say to each other in a busy second: the seeds of the mutations.
fn conversation() -> (Pair, Vec<Vec<u8>>) {
    let mut pair = Pair::new();
    listen(&mut pair.two, 7);
    pair.two.udp_bind(None, 7).unwrap();
    pair.one.udp_bind(None, 9).unwrap();
    let mut frames = Vec::new();
    for to in [v4(2), v6(2)] {
        let (client, _) =
            pair.one.tcp_connect(core::net::SocketAddr::new(to, 7), Default::default()).unwrap();
        pair.one.udp_send(9, b"datagram", core::net::SocketAddr::new(to, 7)).unwrap();
        for round in 0..20 {
            if (3..18).contains(&round) {
                write(&mut pair.one, client, &[round; 700]);
            }
            if round == 18 {
                pair.one.tcp_release(client, false);
            }
            for frame in sent(&mut pair.one, pair.now) {
                pair.two.receive(0, &frame, 0, pair.now);
                frames.push(frame);
            }
            for frame in sent(&mut pair.two, pair.now) {
                pair.one.receive(0, &frame, 0, pair.now);
            }
            pair.now = pair.now.saturating_add(Duration::from_millis(12));
        }
    }
    assert!(frames.len() > 30, "{}", frames.len());
    (pair, frames)
}

/// Changes a few bytes, mostly in headers, and sometimes the length.
fn spoil(frame: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let limit = if dice.hits(3) { frame.len() } else { frame.len().min(80) };
        let at = if dice.hits(8) {
            dice.below(limit)
        } else {
            14.min(limit - 1) + dice.below(limit - 14.min(limit - 1))
        };
        frame[at] = match dice.below(4) {
            0 => 0,
            1 => 0xff,
            2 => frame[at].wrapping_add(1),
            _ => dice.next().to_le_bytes()[0],
        };
    }
    if dice.hits(10) {
        frame.truncate(1 + dice.below(frame.len()));
    }
}

fn assert_bounded(stack: &Stack) {
    let stats = stack.stats();
    assert!(stats.neighbors <= 256 && stats.handshakes <= 128 && stats.time_wait <= 1_024, "{stats:?}");
    assert!(stats.connections <= 128 + 128 + 64, "{stats:?}");
}

#[test]
fn mutated_frames_do_no_harm() {
    let (mut pair, frames) = conversation();
    let mut dice = Dice(11);
    let mut held = Vec::new();
    for round in 0..300_000_u32 {
        let mut frame = frames[dice.below(frames.len())].clone();
        spoil(&mut frame, &mut dice);
        // With the flag that says that checksums are still to be made, mutations get past them.
        let flags = if dice.hits(5) { 0 } else { FLAG_NEEDS_CSUM };
        if flags != 0 {
            fix_ipv4_checksum(&mut frame);
        }
        pair.two.receive(0, &frame, flags, pair.now);
        if round % 16 == 0 {
            pair.now = pair.now.saturating_add(Duration::from_millis(dice.next() % 50));
            sent(&mut pair.two, pair.now);
        }
        if round % 64 == 0 {
            held.extend(super::accept(&mut pair.two, 7));
            for id in &held {
                read(&mut pair.two, *id, &mut [0; 512]);
            }
            if held.len() > 32 {
                pair.two.tcp_release(held.remove(0), dice.hits(2));
            }
        }
        if round % 1_024 == 0 {
            assert_bounded(&pair.two);
        }
    }
    assert_bounded(&pair.two);
}

/// Segments of real connections, with any sequence numbers, flags and windows.
#[test]
fn segments_with_any_numbers_do_no_harm() {
    let mut dice = Dice(13);
    for _ in 0..300 {
        let mut pair = Pair::new();
        listen(&mut pair.two, 7);
        let (client, server) = pair.connect(v4(2), 7).unwrap();
        write(&mut pair.one, client, &[1; 3_000]);
        let frames = sent(&mut pair.one, pair.now);
        write(&mut pair.two, server, &[2; 3_000]);
        for _ in 0..200 {
            let mut frame = frames[dice.below(frames.len())].clone();
            spoil_segment(&mut frame, &mut dice);
            pair.two.receive(0, &frame, FLAG_NEEDS_CSUM, pair.now);
            match dice.below(40) {
                0 => pair.two.tcp_shutdown(server),
                1 => drop(read(&mut pair.two, server, &mut [0; 700])),
                2 => drop(pair.two.tcp_write(server, &[3; 900], core::task::Waker::noop())),
                3 => pair.two.tcp_release(server, dice.hits(2)),
                4 => pair.now = pair.now.saturating_add(Duration::from_millis(dice.next() % 3_000)),
                _ => {}
            }
            // Sometimes nothing leaves, until the transmit queue is full.
            if dice.hits(4) {
                sent(&mut pair.two, pair.now);
            } else {
                pair.two.poll(pair.now);
            }
        }
    }
}

/// Answers to a connection attempt, likewise.
#[test]
fn answers_with_any_numbers_do_no_harm() {
    let mut dice = Dice(29);
    for _ in 0..300 {
        let mut pair = Pair::new();
        listen(&mut pair.two, 7);
        let to = core::net::SocketAddr::new(v4(2), 7);
        let (client, _) = pair.one.tcp_connect(to, Default::default()).unwrap();
        let mut frames = Vec::new();
        for _ in 0..2 {
            for frame in sent(&mut pair.one, pair.now) {
                pair.two.receive(0, &frame, 0, pair.now);
            }
            frames = sent(&mut pair.two, pair.now);
            if frames.iter().all(|frame| frame[12..14] == [8, 6]) {
                frames.iter().for_each(|frame| pair.one.receive(0, frame, 0, pair.now));
            }
        }
        for _ in 0..100 {
            let mut frame = frames[dice.below(frames.len())].clone();
            spoil_segment(&mut frame, &mut dice);
            if dice.hits(2) {
                fix_syn(&mut frame);
            }
            pair.one.receive(0, &frame, FLAG_NEEDS_CSUM, pair.now);
            match dice.below(20) {
                0 => drop(pair.one.tcp_write(client, &[3; 900], core::task::Waker::noop())),
                1 => drop(read(&mut pair.one, client, &mut [0; 700])),
                2 => pair.one.tcp_shutdown(client),
                3 => pair.now = pair.now.saturating_add(Duration::from_millis(dice.next() % 3_000)),
                _ => {}
            }
            if dice.hits(3) {
                sent(&mut pair.one, pair.now);
            } else {
                pair.one.poll(pair.now);
            }
        }
    }
}

/// Makes a segment a SYN with an acknowledgement again.
fn fix_syn(frame: &mut [u8]) {
    let mut ethernet = EthernetFrame::new_unchecked(frame);
    if ethernet.ethertype() == EthernetProtocol::Ipv4 {
        let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
        let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
        tcp.set_syn(true);
        tcp.set_fin(false);
        tcp.set_rst(false);
    }
}

/// Moves a segment's numbers by a little or to anywhere.
fn spoil_segment(frame: &mut [u8], dice: &mut Dice) {
    let mut ethernet = EthernetFrame::new_unchecked(frame);
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return;
    }
    let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    let mut moved = |number: smoltcp::wire::TcpSeqNumber| {
        let by = match dice.below(8) {
            0 => dice.next(),
            1..4 => dice.next() % 4_096,
            4 => (dice.next() % 4_096).wrapping_neg(),
            _ => 0,
        };
        smoltcp::wire::TcpSeqNumber(
            number.0.wrapping_add(i32::from_le_bytes(by.to_le_bytes()[..4].try_into().unwrap())),
        )
    };
    let (sequence, acknowledged) = (moved(tcp.seq_number()), moved(tcp.ack_number()));
    tcp.set_seq_number(sequence);
    tcp.set_ack_number(acknowledged);
    tcp.set_window_len(match dice.below(3) {
        0 => 0,
        1 => u16::MAX,
        _ => 700,
    });
    tcp.set_ack(!dice.hits(10));
    tcp.set_fin(dice.hits(6));
    tcp.set_syn(dice.hits(12));
    tcp.set_rst(dice.hits(40));
}

/// Messages that configure the stack or that smoltcp answers, with checksums that hold whatever the mutation.
#[test]
fn mutated_control_messages_do_no_harm() {
    let router = "fe80::1".parse().unwrap();
    let mac_of_one = Some(EthernetAddress(mac(1)).into());
    let ping = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 2, data: &[7; 60] };
    let solicit = NdiscRepr::NeighborSolicit { target_addr: ipv6(v6(2)), lladdr: mac_of_one };
    let flags = NdiscNeighborFlags::OVERRIDE;
    let advert = NdiscRepr::NeighborAdvert { flags, target_addr: ipv6(v6(1)), lladdr: mac_of_one };
    let four = |number| core::net::Ipv4Addr::new(10, 0, 0, number);
    let seeds = [
        icmpv6(1, router, ALL_NODES, &advertisement(1_800, 9_000)),
        icmpv6(1, ipv6(v6(1)), ipv6(v6(2)), &ping),
        icmpv6(1, ipv6(v6(1)), ipv6(v6(2)), &Icmpv6Repr::Ndisc(solicit)),
        icmpv6(1, ipv6(v6(1)), ipv6(v6(2)), &Icmpv6Repr::Ndisc(advert)),
        ping_v4(1, 2),
        arp(ArpOperation::Request, 1, four(1), four(2), [0xff; 6]),
        arp(ArpOperation::Reply, 1, four(1), four(2), mac(2)),
    ];
    let mut dice = Dice(19);
    for _ in 0..100 {
        let (mut two, mut bare) = (stack(&nic(2)), stack(&bare_nic(2)));
        let mut now = crate::time::Instant::from_ns(1_000_000_000);
        for _ in 0..1_000 {
            let mut frame = seeds[dice.below(seeds.len())].clone();
            if dice.hits(20) {
                frame.extend((0..dice.below(300)).map(|_| dice.next().to_le_bytes()[0]));
            }
            spoil(&mut frame, &mut dice);
            fix_icmp_checksum(&mut frame);
            for stack in [&mut two, &mut bare] {
                stack.receive(0, &frame, 0, now);
                sent(stack, now);
                assert_bounded(stack);
            }
            now = now.saturating_add(Duration::from_millis(dice.next() % 500));
        }
    }
}

/// Makes the checksums of an ICMP message right again, where there still is one.
fn fix_icmp_checksum(frame: &mut [u8]) {
    fix_ipv4_checksum(frame);
    let Ok(mut ethernet) = EthernetFrame::new_checked(frame) else { return };
    if ethernet.ethertype() == EthernetProtocol::Ipv4
        && let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut())
        && ip.next_header() == IpProtocol::Icmp
        && let Ok(mut icmp) = Icmpv4Packet::new_checked(ip.payload_mut())
    {
        icmp.fill_checksum();
    } else if ethernet.ethertype() == EthernetProtocol::Ipv6
        && let Ok(mut ip) = Ipv6Packet::new_checked(ethernet.payload_mut())
        && let (source, destination) = (ip.src_addr(), ip.dst_addr())
        && let Ok(mut icmp) = Icmpv6Packet::new_checked(ip.payload_mut())
    {
        icmp.fill_checksum(&source, &destination);
    }
}

/// A DHCP server that answers with mutated messages.
#[test]
fn mutated_dhcp_answers_do_no_harm() {
    let mut dice = Dice(23);
    for _ in 0..200 {
        let mut pair = Pair::of(stack(&nic(1)), stack(&bare_nic(2)));
        pair.one.udp_bind(None, 67).unwrap();
        for _ in 0..60 {
            pair.now = pair.now.saturating_add(Duration::from_millis(dice.next() % 5_000));
            for frame in sent(&mut pair.two, pair.now) {
                pair.one.receive(0, &frame, 0, pair.now);
            }
            while super::udp::serve_dhcp(&mut pair, super::udp::usual) {}
            for mut frame in sent(&mut pair.one, pair.now) {
                if !dice.hits(4) {
                    // Behind the fixed fields, mostly: the options.
                    let at = if dice.hits(3) { 41 } else { 282 }.min(frame.len() - 1);
                    for _ in 0..=dice.below(3) {
                        let place = at + dice.below(frame.len() - at);
                        frame[place] = dice.next().to_le_bytes()[0];
                    }
                }
                pair.two.receive(0, &frame, FLAG_NEEDS_CSUM, pair.now);
            }
        }
    }
}

fn fix_ipv4_checksum(frame: &mut [u8]) {
    if frame.len() >= 34 && frame[12..14] == [8, 0] && frame[14] == 0x45 {
        Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
    }
}

#[test]
fn noise_does_no_harm() {
    let mut dice = Dice(17);
    let mut two = stack(&nic(2));
    let mut bare = stack(&bare_nic(2));
    listen(&mut two, 7);
    let now = crate::time::Instant::from_ns(1_000_000_000);
    for _ in 0..100_000 {
        let mut frame: Vec<u8> = (0..dice.below(120)).map(|_| dice.next().to_le_bytes()[0]).collect();
        if frame.len() > 20 {
            frame[..6].copy_from_slice(&super::mac(2));
            frame[6] &= 0xfe;
            let kinds = [[8, 0], [8, 6], [0x86, 0xdd]];
            frame[12..14].copy_from_slice(&kinds[dice.below(3)]);
        }
        two.receive(0, &frame, FLAG_NEEDS_CSUM, now);
        bare.receive(0, &frame, FLAG_NEEDS_CSUM, now);
        sent(&mut two, now);
        sent(&mut bare, now);
    }
}

#[test]
fn wrong_checksum_is_dropped_unless_the_host_vouches_for_it() {
    let mut pair = Pair::new();
    pair.two.udp_bind(None, 7).unwrap();
    pair.one.udp_bind(None, 9).unwrap();
    pair.one.udp_send(9, b"x", core::net::SocketAddr::new(v4(2), 7)).unwrap();
    pair.settle();
    let mut received = || pair.two.udp_receive(7, &mut [0; 4], core::task::Waker::noop()).is_some();
    assert!(received());
    pair.one.udp_send(9, b"x", core::net::SocketAddr::new(v4(2), 7)).unwrap();
    let mut frame = sent(&mut pair.one, pair.now).pop().unwrap();
    let last = frame.len() - 1;
    frame[last] ^= 1;
    pair.two.receive(0, &frame, 0, pair.now);
    assert!(pair.two.udp_receive(7, &mut [0; 4], core::task::Waker::noop()).is_none());
    pair.two.receive(0, &frame, FLAG_NEEDS_CSUM, pair.now);
    assert!(pair.two.udp_receive(7, &mut [0; 4], core::task::Waker::noop()).is_some());
}
