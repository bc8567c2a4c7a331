//! Frames that nobody needs: each is dropped, for its own reason, under rules that would open its addresses and ports.

use super::super::Direction::{FromGuest, ToGuest};
use super::super::{Direction, FramePolicy, Reason, Verdict};
use super::build::*;

const TCP: u8 = 6;

fn open() -> FramePolicy {
    policy(
        &[
            "tcp:10.0.0.0/8:*",
            "udp:10.0.0.0/8:*",
            "tcp:[fd00::]/16:*",
            "udp:[fd00::]/16:*",
            "ping:10.0.0.0/8",
        ],
        &[],
    )
}

/// A frame that passes, to be spoiled.
fn good() -> Vec<u8> {
    out("10.0.0.9", TCP, &tcp(50_000, 443, SYN, b"some data, so that no padding is needed"))
}

/// The good frame with a change to its IP packet, and a checksum that fits.
fn spoiled(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = good();
    change(&mut frame[14..]);
    let header = usize::from(frame[14] & 15) * 4;
    let header = 14..(14 + header.clamp(20, 60)).min(frame.len());
    frame[24..26].fill(0);
    let sum = frame[header]
        .chunks(2)
        .fold(0_u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
    frame
}

/// An IPv6 packet whose segment comes behind an extension header.
fn extended(kind: u8) -> Vec<u8> {
    let header = [TCP, 0, 0, 0, 0, 0, 0, 0];
    out("fd00::9", kind, &[&header[..], &tcp(50_000, 443, SYN, b"")].concat())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_not_understood_is_dropped() {
    let vlan = |tag: u16| {
        let inner = good();
        let payload = [&[0, 5][..], &inner[12..]].concat();
        ethernet(MAC, PEER_MAC, tag, &payload)
    };
    let mut long_udp = udp(4000, 53, b"data");
    long_udp[5] += 1;
    let mut short_udp = udp(4000, 53, b"data");
    short_udp[5] -= 1;
    let mut offset = tcp(50_000, 443, SYN, b"");
    offset[12] = 15 << 4;
    for (name, frame, reason) in [
        ("nothing", Vec::new(), Reason::Malformed),
        ("13 bytes", vec![2; 13], Reason::Malformed),
        ("802.1Q", vlan(0x8100), Reason::Vlan),
        ("802.1ad", vlan(0x88a8), Reason::Vlan),
        ("old 802.1ad", vlan(0x9100), Reason::Vlan),
        ("802.3 length", ethernet(MAC, PEER_MAC, 46, &[0xaa; 46]), Reason::EtherType),
        ("LLDP", ethernet(MAC, [1, 0x80, 0xc2, 0, 0, 14], 0x88cc, &[0; 46]), Reason::EtherType),
        ("MACsec", ethernet(MAC, PEER_MAC, 0x88e5, &[0; 46]), Reason::EtherType),
        ("PPPoE", ethernet(MAC, PEER_MAC, 0x8864, &[0; 46]), Reason::EtherType),
        ("MPLS", ethernet(MAC, PEER_MAC, 0x8847, &[0; 46]), Reason::EtherType),
        ("RARP", ethernet(MAC, PEER_MAC, 0x8035, &[0; 46]), Reason::EtherType),
        ("first fragment", spoiled(|ip| ip[6] = 0x20), Reason::Fragment),
        ("last fragment", spoiled(|ip| ip[7] = 1), Reason::Fragment),
        ("reserved flag", spoiled(|ip| ip[6] = 0x80), Reason::Fragment),
        ("tiny fragment", spoiled(|ip| [ip[2], ip[3], ip[6]] = [0, 28, 0x20]), Reason::Fragment),
        ("options", spoiled(|ip| ip[0] = 0x46), Reason::Options),
        ("all options", spoiled(|ip| ip[0] = 0x4f), Reason::Options),
        ("short header", spoiled(|ip| ip[0] = 0x44), Reason::Malformed),
        ("version 5", spoiled(|ip| ip[0] = 0x55), Reason::Malformed),
        ("version 6 in an IPv4 frame", spoiled(|ip| ip[0] = 0x65), Reason::Malformed),
        ("longer than the frame", spoiled(|ip| ip[3] += 1), Reason::Malformed),
        ("shorter than the frame", spoiled(|ip| ip[3] -= 1), Reason::Malformed),
        ("shorter than its header", spoiled(|ip| [ip[2], ip[3]] = [0, 19]), Reason::Malformed),
        ("a header alone", spoiled(|ip| [ip[2], ip[3]] = [0, 20]), Reason::Malformed),
        ("IPv4 in IPv4", spoiled(|ip| ip[9] = 4), Reason::Protocol),
        ("IPv6 in IPv4", spoiled(|ip| ip[9] = 41), Reason::Protocol),
        ("GRE", spoiled(|ip| ip[9] = 47), Reason::Protocol),
        ("SCTP", spoiled(|ip| ip[9] = 132), Reason::Protocol),
        ("IGMP", spoiled(|ip| ip[9] = 2), Reason::Protocol),
        ("raw", spoiled(|ip| ip[9] = 255), Reason::Protocol),
        ("UDP longer than its packet", out("10.0.0.9", 17, &long_udp), Reason::Malformed),
        ("UDP shorter than its packet", out("10.0.0.9", 17, &short_udp), Reason::Malformed),
        ("TCP cut short", out("10.0.0.9", TCP, &tcp(1, 443, SYN, b"")[..19]), Reason::Malformed),
        ("TCP header longer than the segment", out("10.0.0.9", TCP, &offset), Reason::Malformed),
        ("no flags", out("10.0.0.9", TCP, &tcp(1, 443, 0, b"")), Reason::Malformed),
        ("all flags", out("10.0.0.9", TCP, &tcp(1, 443, 63, b"")), Reason::Malformed),
        ("SYN and FIN", out("10.0.0.9", TCP, &tcp(1, 443, 3, b"")), Reason::Malformed),
        ("FIN alone", out("10.0.0.9", TCP, &tcp(1, 443, 1, b"")), Reason::Malformed),
        ("SYN and RST", out("10.0.0.9", TCP, &tcp(1, 443, 6, b"")), Reason::Malformed),
        ("port 0", out("10.0.0.9", TCP, &tcp(1, 0, SYN, b"")), Reason::Malformed),
        ("redirect", out("10.0.0.9", 1, &[5, 1, 0, 0, 10, 0, 0, 2, 0, 0, 0, 0]), Reason::Protocol),
        ("timestamp request", out("10.0.0.9", 1, &[13, 0, 0, 0, 0, 0, 0, 0]), Reason::Protocol),
        ("address mask request", out("10.0.0.9", 1, &[17, 0, 0, 0, 0, 0, 0, 0]), Reason::Protocol),
        ("hop-by-hop", extended(0), Reason::Extension),
        ("routing header", extended(43), Reason::Extension),
        ("IPv6 fragment", extended(44), Reason::Extension),
        ("destination options", extended(60), Reason::Extension),
        ("authentication header", extended(51), Reason::Extension),
        ("ESP", extended(50), Reason::Extension),
        ("mobility header", extended(135), Reason::Protocol),
        ("HIP", extended(139), Reason::Protocol),
        ("no next header", extended(59), Reason::Protocol),
        ("IPv6 in IPv6", extended(41), Reason::Protocol),
        ("MLD report", out("ff02::16", 58, &[143, 0, 0, 0, 0, 0, 0, 0]), Reason::Protocol),
        ("NDP redirect", out("fd00::9", 58, &[&[137][..], &[0; 39]].concat()), Reason::Protocol),
    ] {
        for (direction, frame) in [(FromGuest, frame.clone()), (ToGuest, swapped(frame))] {
            assert_eq!(open().judge(&frame, direction), Verdict::Drop(reason), "{name}, {direction:?}");
        }
    }
    passes(&mut open(), FromGuest, &good());
}

/// The same frame from the other side.
fn swapped(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() >= 12 {
        let (to, from) = frame[..12].split_at_mut(6);
        to.swap_with_slice(from);
        // A group is no source.
        frame[6] &= !1;
    }
    frame
}

#[test]
fn forged_addresses_are_dropped() {
    let packet = |from: &str, to: &str| ip(from, to, TCP, &tcp(50_000, 443, SYN, b"some data"));
    let frame = |from, to, kind, packet: &[u8]| ethernet(from, to, kind, packet);
    for (name, frame, reason) in [
        ("source MAC", frame(PEER_MAC, PEER_MAC, 0x0800, &packet(OWN, "10.0.0.9")), Reason::SourceMac),
        (
            "group as source",
            frame([3, 0, 0, 0, 0, 2], PEER_MAC, 0x0800, &packet(OWN, "10.0.0.9")),
            Reason::SourceMac,
        ),
        ("broadcast MAC", frame(MAC, [0xff; 6], 0x0800, &packet(OWN, "10.0.0.9")), Reason::DestinationMac),
        (
            "group MAC",
            frame(MAC, [1, 0, 0x5e, 0, 0, 1], 0x0800, &packet(OWN, "10.0.0.9")),
            Reason::DestinationMac,
        ),
        ("source", frame(MAC, PEER_MAC, 0x0800, &packet("10.0.0.3", "10.0.0.9")), Reason::SourceAddress),
        (
            "gateway as source",
            frame(MAC, PEER_MAC, 0x0800, &packet("10.0.0.1", "10.0.0.9")),
            Reason::SourceAddress,
        ),
        ("no source", frame(MAC, PEER_MAC, 0x0800, &packet("0.0.0.0", "10.0.0.9")), Reason::SourceAddress),
        (
            "loopback as source",
            frame(MAC, PEER_MAC, 0x0800, &packet("127.0.0.1", "10.0.0.9")),
            Reason::SourceAddress,
        ),
        ("IPv6 source", frame(MAC, PEER_MAC, 0x86dd, &packet("fd00::3", "fd00::9")), Reason::SourceAddress),
        (
            "link-local source",
            frame(MAC, PEER_MAC, 0x86dd, &packet("fe80::ff:fe00:2", "fd00::9")),
            Reason::SourceAddress,
        ),
        (
            "broadcast",
            frame(MAC, PEER_MAC, 0x0800, &packet(OWN, "255.255.255.255")),
            Reason::DestinationAddress,
        ),
        (
            "the network's broadcast",
            frame(MAC, PEER_MAC, 0x0800, &packet(OWN, "10.0.0.255")),
            Reason::DestinationAddress,
        ),
        ("the network", frame(MAC, PEER_MAC, 0x0800, &packet(OWN, "10.0.0.0")), Reason::DestinationAddress),
        ("multicast", frame(MAC, PEER_MAC, 0x0800, &packet(OWN, "224.0.0.251")), Reason::DestinationAddress),
        (
            "IPv6 multicast",
            frame(MAC, PEER_MAC, 0x86dd, &packet(OWN6, "ff02::1")),
            Reason::DestinationAddress,
        ),
        ("loopback", frame(MAC, PEER_MAC, 0x0800, &packet(OWN, "127.0.0.1")), Reason::DestinationAddress),
        (
            "IPv4 written as IPv6",
            frame(MAC, PEER_MAC, 0x86dd, &packet(OWN6, "::ffff:10.0.0.9")),
            Reason::DestinationAddress,
        ),
    ] {
        assert_eq!(open().judge(&frame, FromGuest), Verdict::Drop(reason), "{name}");
    }
}

#[test]
fn padding_is_short_and_of_a_guests_frames_empty() {
    let short = out("10.0.0.9", TCP, &tcp(50_000, 443, SYN, b""));
    let padded = |length: usize, byte: u8| [&short[..], &vec![byte; length - short.len()]].concat();
    passes(&mut open(), FromGuest, &short);
    passes(&mut open(), FromGuest, &padded(60, 0));
    drops(&mut open(), FromGuest, &padded(60, 1), Reason::Malformed);
    drops(&mut open(), FromGuest, &padded(61, 0), Reason::Malformed);
    let short = to_guest("10.0.0.9", TCP, &tcp(443, 50_000, ACK, b""));
    passes(&mut open(), ToGuest, &[&short[..], &[7; 6]].concat());
    drops(&mut open(), ToGuest, &[&short[..], &[0; 7]].concat(), Reason::Malformed);
}

/// Whatever is sent, nothing passes that is not wholly inside the policy: what passes is taken apart again here, by other means.
#[test]
fn mutated_frames_do_not_leave_the_policy() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(bound).unwrap()).unwrap()
    };
    let seeds = [
        good(),
        out("10.0.0.9", 17, &udp(4000, 53, b"data")),
        out("fd00::9", TCP, &tcp(50_000, 443, SYN, b"data")),
        arp(true, (MAC, OWN), [0xff; 6], "10.0.0.9"),
    ];
    let mut policy = policy(&["tcp:10.0.0.9:443", "udp:10.0.0.9:53", "tcp:[fd00::9]:443"], &[]);
    let mut passed = 0;
    for round in 0..400_000 {
        let mut frame = seeds[round % seeds.len()].clone();
        for _ in 0..1 + next(3) {
            let at = next(frame.len());
            match next(4) {
                0 => frame[at] = u8::try_from(next(256)).unwrap(),
                1 => frame[at] ^= 1 << next(8),
                2 => frame.truncate(at + 1),
                _ => frame.insert(at, u8::try_from(next(256)).unwrap()),
            }
        }
        if policy.judge(&frame, FromGuest) == Verdict::Pass {
            passed += 1;
            assert!(is_inside(&frame), "{frame:x?}");
        }
        let _ = policy.judge(&frame, Direction::ToGuest);
    }
    assert!(passed > 1000, "{passed} passed: the test is not about nothing");
}

/// Byte by byte, without a parser: source MAC; then ARP, or the one peer with its protocols and ports, and a length that fits.
fn is_inside(frame: &[u8]) -> bool {
    let own = frame[6..12] == MAC;
    let fits = |length: usize| frame.len() == length || (frame.len() <= 60 && length <= frame.len());
    let word = |at: usize| usize::from(frame[at]) << 8 | usize::from(frame[at + 1]);
    own && match word(12) {
        0x0806 => fits(42) && frame[22..28] == MAC && [&[10, 0, 0, 2][..], &[0; 4]].contains(&&frame[28..32]),
        0x0800 => {
            let ports = (frame[23], word(36));
            let (from, to) = (&frame[26..30], &frame[30..34]);
            frame[14] == 0x45
                && word(20) & 0xbfff == 0
                && from == [10, 0, 0, 2]
                && to == [10, 0, 0, 9]
                && [(6, 443), (17, 53)].contains(&ports)
                && fits(14 + word(16))
        }
        0x86dd => {
            frame[20] == 6 && word(56) == 443 && frame[37] == 2 && frame[53] == 9 && fits(54 + word(18))
        }
        _ => false,
    }
}
