//! Frames that no honest guest sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::thread;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet,
    Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpProtocol, IpRepr, NdiscRepr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, UdpPacket, UdpRepr,
};

use super::super::UserNet;
use super::super::addresses::guest_towards;
use super::super::packet::decode;
use super::rig::{Options, Random, Rig, dial, exchange};

fn ethernet(ethertype: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14 + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(EthernetAddress(UserNet::GUEST_MAC));
    frame.set_dst_addr(EthernetAddress(UserNet::GATEWAY_MAC));
    frame.set_ethertype(ethertype);
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

fn ip(to: IpAddr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let ethertype = if to.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
    let header = IpRepr::new(guest_towards(to).into(), to.into(), protocol, payload.len(), 255);
    let mut packet = vec![0; header.buffer_len()];
    header.emit(&mut packet[..], &ChecksumCapabilities::default());
    packet[header.header_len()..].copy_from_slice(payload);
    ethernet(ethertype, &packet)
}

fn tcp(to: IpAddr, ports: (u16, u16), control: TcpControl, ack: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let segment = TcpRepr {
        src_port: ports.0,
        dst_port: ports.1,
        control,
        seq_number: TcpSeqNumber(1000),
        ack_number: ack.map(|ack| TcpSeqNumber(ack.cast_signed())),
        window_len: 1000,
        window_scale: Some(14),
        max_seg_size: Some(1),
        sack_permitted: true,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let mut bytes = vec![0; segment.buffer_len()];
    segment.emit(
        &mut TcpPacket::new_unchecked(&mut bytes[..]),
        &guest_towards(to).into(),
        &to.into(),
        &ChecksumCapabilities::default(),
    );
    ip(to, IpProtocol::Tcp, &bytes)
}

fn udp(to: IpAddr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8 + payload.len()];
    UdpRepr { src_port: ports.0, dst_port: ports.1 }.emit(
        &mut UdpPacket::new_unchecked(&mut bytes[..]),
        &guest_towards(to).into(),
        &to.into(),
        payload.len(),
        |room| room.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    ip(to, IpProtocol::Udp, &bytes)
}

pub(super) fn who_has(target: Ipv4Addr) -> Vec<u8> {
    let request = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(UserNet::GUEST_MAC),
        source_protocol_addr: UserNet::GUEST_V4,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
    ethernet(EthernetProtocol::Arp, &bytes)
}

fn ping(to: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let request = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
    ip(IpAddr::V4(to), IpProtocol::Icmp, &bytes)
}

fn icmpv6(to: Ipv6Addr, message: &Icmpv6Repr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut bytes[..]);
    message.emit(&UserNet::GUEST_V6, &to, &mut packet, &ChecksumCapabilities::default());
    ip(IpAddr::V6(to), IpProtocol::Icmpv6, &bytes)
}

fn solicit(target: Ipv6Addr) -> Vec<u8> {
    icmpv6(target, &Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: target, lladdr: None }))
}

/// One frame of each kind that the helper acts on. `open` is a port that a rule opens.
fn seeds(open: u16) -> Vec<Vec<u8>> {
    let gateways = [IpAddr::V4(UserNet::GATEWAY_V4), IpAddr::V6(UserNet::GATEWAY_V6)];
    let mut seeds = vec![
        who_has(UserNet::DNS_V4),
        ping(UserNet::GATEWAY_V4, &[7; 100]),
        solicit(UserNet::GATEWAY_V6),
        icmpv6(UserNet::DNS_V6, &Icmpv6Repr::EchoRequest { ident: 1, seq_no: 2, data: &[7; 100] }),
    ];
    for gateway in gateways {
        seeds.extend([
            tcp(gateway, (5000, open), TcpControl::Syn, None, &[]),
            tcp(gateway, (5000, open), TcpControl::None, Some(1), &[1; 500]),
            tcp(gateway, (5000, open), TcpControl::Fin, Some(1), &[]),
            tcp(gateway, (5000, open), TcpControl::Rst, Some(1), &[]),
            tcp(gateway, (80, 49_152), TcpControl::Syn, Some(1), &[]),
            tcp(gateway, (80, 49_152), TcpControl::None, Some(1), &[1; 500]),
            tcp(gateway, (5000, 1), TcpControl::Syn, None, &[]),
            udp(gateway, (5000, open), &[2; 200]),
            udp(gateway, (5000, 1), &[2; 200]),
        ]);
    }
    seeds
}

/// Changes a few bytes, cuts, or lengthens. Headers more often than data.
fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        let reach = if random.below(2) == 0 { frame.len().min(60) } else { frame.len() };
        if reach > 0 {
            let at = random.below(reach);
            let value = random.next().to_le_bytes()[0];
            frame[at] = [value, 0, 0xff, frame[at] ^ (1 << (value & 7))][random.below(4)];
        }
    }
    match random.below(64) {
        0..8 => frame.truncate(random.below(frame.len() + 1)),
        8..16 => frame.resize(frame.len() + random.below(2_000), 0xa5),
        16 => frame.resize(frame.len() + random.below(70_000), 0xa5),
        _ => {}
    }
    // A message of no bytes would be the end of the link.
    if frame.is_empty() {
        frame.push(0);
    }
}

#[test]
fn mutated_frames_never_panic_the_decoder() {
    let (mut random, seeds) = (Random(1), seeds(9));
    for seed in &seeds {
        assert!(decode(seed).is_some(), "every seed is understood: {seed:x?}");
    }
    for _ in 0..200_000 {
        let mut frame = seeds[random.below(seeds.len())].clone();
        mutate(&mut frame, &mut random);
        let _ = decode(&frame);
    }
}

#[test]
fn mutated_frames_do_not_hurt_the_helper() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let allow = ["tcp", "udp"].map(|protocol| format!("{protocol}:127.0.0.1:{open}"));
    let mut rig = Rig::new(&Options { publish: &["0:80"], allow: &allow, ..Options::default() });
    let address = rig.helper.published[0];
    // A caller whose call the guest answers with rubbish.
    let caller = dial(address);
    let (mut random, seeds) = (Random(2), seeds(open));
    for _ in 0..50_000 {
        let mut frame = seeds[random.below(seeds.len())].clone();
        if random.below(8) != 0 {
            mutate(&mut frame, &mut random);
        }
        rig.guest.wire.send_frame(&frame);
        while rig.guest.wire.receive_frame().is_some() {}
    }
    drop((caller, listener));
    let host = thread::spawn(move || exchange(dial(address), b"still here"));
    assert_eq!(rig.echo_until(80, host), b"still here");
    rig.finish();
}

#[test]
fn gateway_and_resolver_answer_arp_ndp_and_echo() {
    let rig = Rig::publish(&[]);
    let answer = |frame: &[u8]| {
        rig.guest.wire.send_frame(frame);
        loop {
            if let Some(answer) = rig.guest.wire.receive_frame() {
                return answer;
            }
            thread::yield_now();
        }
    };
    for target in [UserNet::GATEWAY_V4, UserNet::DNS_V4] {
        let reply = answer(&who_has(target));
        let reply = ArpRepr::parse(&ArpPacket::new_checked(&reply[14..]).unwrap()).unwrap();
        let ArpRepr::EthernetIpv4 { operation, source_hardware_addr, source_protocol_addr, .. } = reply
        else {
            panic!("{reply:?}");
        };
        assert_eq!(operation, ArpOperation::Reply);
        assert_eq!((source_hardware_addr.0, source_protocol_addr), (UserNet::GATEWAY_MAC, target));
        let mut echo = ping(target, b"are you there");
        let reply = answer(&echo);
        assert_eq!(reply.len(), echo.len());
        assert_eq!(
            (reply[34], &reply[42..]),
            (0, &echo.split_off(42)[..]),
            "an echo reply with the same data"
        );
    }
    for target in [UserNet::GATEWAY_V6, UserNet::DNS_V6] {
        let reply = answer(&solicit(target));
        assert_eq!((reply[54], &reply[62..78]), (136, &target.octets()[..]), "a neighbour advertisement");
        assert_eq!(reply[80..86], UserNet::GATEWAY_MAC);
    }
    // Nobody else is there: the next answer is the one to the next question.
    rig.guest.wire.send_frame(&who_has(Ipv4Addr::new(10, 0, 2, 9)));
    rig.guest.wire.send_frame(&ping(Ipv4Addr::new(10, 0, 2, 9), b"nobody"));
    rig.guest.wire.send_frame(&ping(Ipv4Addr::new(1, 1, 1, 1), b"nobody"));
    let reply = answer(&who_has(UserNet::GATEWAY_V4));
    assert_eq!(reply[28..32], UserNet::GATEWAY_V4.octets());
    rig.finish();
}

#[test]
fn a_datagram_that_no_rule_allows_is_answered_with_prohibited() {
    let rig = Rig::publish(&[]);
    for (to, at, kind) in [("10.0.2.2", 34, [3, 13]), ("fd52:494e:4757::2", 54, [1, 1])] {
        rig.guest.wire.send_frame(&udp(to.parse().unwrap(), (7000, 9), b"secret"));
        let answer = loop {
            if let Some(answer) = rig.guest.wire.receive_frame() {
                break answer;
            }
            thread::yield_now();
        };
        assert_eq!(answer[at..at + 2], kind, "ICMP type and code");
    }
    rig.finish();
}
