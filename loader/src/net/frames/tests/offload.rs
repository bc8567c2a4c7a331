//! Offload headers: what the host's kernel makes of a frame that passed would have passed as well.

use super::super::Direction::{FromGuest, ToGuest};
use super::super::{Reason, Verdict};
use super::build::*;
use crate::net::tap::VNET_HEADER_BYTES;

const TCP: u8 = 6;
const PSH: u8 = 8;
const RULES: [&str; 2] = ["tcp:10.0.0.9:443", "tcp:[fd00::9]:443"];

fn header(flags: u8, kind: u8, words: [u16; 4]) -> [u8; VNET_HEADER_BYTES] {
    let mut header = [0; VNET_HEADER_BYTES];
    header[..2].copy_from_slice(&[flags, kind]);
    header[2..].copy_from_slice(words.map(u16::to_le_bytes).as_flattened());
    header
}

fn word(header: &[u8; VNET_HEADER_BYTES], at: usize) -> usize {
    usize::from(u16::from_le_bytes([header[at], header[at + 1]]))
}

/// What the kernel makes of a frame (drivers/net/tun.c, net/ipv4/tcp_offload.c): pieces, each with a sum where the header says. `None` if it
/// does not take it.
fn made_by_kernel(header: &[u8; VNET_HEADER_BYTES], frame: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (header_bytes, piece_bytes) = (word(header, 2), word(header, 4));
    let mut pieces = match header[1] {
        0 => vec![frame.to_vec()],
        1 | 4 if piece_bytes > 0 => {
            let (head, data) = frame.split_at_checked(header_bytes)?;
            let pieces = data.chunks(piece_bytes).map(|piece| [head, piece].concat());
            pieces.map(|piece| with_length(piece, header[1] == 1)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    if header[0] & 1 != 0 {
        let at = word(header, 6) + word(header, 8);
        pieces.iter_mut().try_for_each(|piece| piece.get_mut(at..at + 2).map(|sum| sum.fill(0xa5)))?;
    }
    Some(pieces)
}

/// A piece with the length of its packet in its IP header.
fn with_length(mut piece: Vec<u8>, is_ipv4: bool) -> Option<Vec<u8>> {
    let packet_bytes = piece.len().checked_sub(14)?;
    if is_ipv4 {
        piece.get_mut(16..18)?.copy_from_slice(&u16::try_from(packet_bytes).ok()?.to_be_bytes());
        let ip = piece.get_mut(14..34)?;
        ip[10..12].fill(0);
        let sum = !smoltcp::wire::checksum::data(ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let length = u16::try_from(packet_bytes.checked_sub(40)?).ok()?;
        piece.get_mut(18..20)?.copy_from_slice(&length.to_be_bytes());
    }
    Some(piece)
}

/// Long segments, each with the header that belongs to it.
fn good() -> Vec<([u8; VNET_HEADER_BYTES], Vec<u8>)> {
    let long = tcp(50_000, 443, ACK | PSH, &[7; 4000]);
    let short = tcp(50_000, 443, SYN, b"data");
    vec![
        ([0; VNET_HEADER_BYTES], out("10.0.0.9", TCP, &short)),
        (header(1, 0, [0, 0, 34, 16]), out("10.0.0.9", TCP, &short)),
        (header(1, 0, [0, 0, 54, 16]), out("fd00::9", TCP, &short)),
        (header(1, 1, [54, 1460, 34, 16]), out("10.0.0.9", TCP, &long)),
        (header(1, 4, [74, 1440, 54, 16]), out("fd00::9", TCP, &long)),
        (header(1, 1, [54, 48, 34, 16]), out("10.0.0.9", TCP, &long)),
        // What a guest makes of a line that lies across the end of its buffer.
        (header(1, 1, [54, 38, 34, 16]), out("10.0.0.9", TCP, &tcp(50_000, 443, ACK | PSH, &[7; 60]))),
    ]
}

#[test]
fn the_header_that_belongs_to_a_frame_passes_and_another_frames_does_not() {
    let mut policy = policy(&RULES, &[]);
    let good = good();
    for (at, (header, frame)) in good.iter().enumerate() {
        assert_eq!(policy.judge_with_header(header, frame, FromGuest), Verdict::Pass, "{at}");
        for (_, other) in good.iter().filter(|(_, other)| other != frame && header[0] != 0) {
            // Headers are as long in all segments of one version, and the first of a connection is not cut.
            let is_first = other.len() < 100;
            let fits = frame[12..14] == other[12..14] && (header[1] == 0 || !is_first);
            let expected = if fits { Verdict::Pass } else { Verdict::Drop(Reason::Offload) };
            assert_eq!(policy.judge_with_header(header, other, FromGuest), expected, "{at}");
        }
    }
    let syn = out("10.0.0.9", TCP, &tcp(50_000, 443, SYN, &[7; 4000]));
    for (bad, frame) in [
        (header(1, 1, [54, 1461, 34, 16]), &good[3].1),
        (header(1, 1, [54, 2, 34, 16]), &good[3].1),
        (header(1, 1, [54, 1460, 34, 16]), &syn),
        (header(1, 0x81, [54, 1460, 34, 16]), &good[3].1),
        (header(2, 0, [0; 4]), &good[0].1),
    ] {
        assert_eq!(policy.judge_with_header(&bad, frame, FromGuest), Verdict::Drop(Reason::Offload));
    }
}

#[test]
fn the_hosts_own_headers_are_not_judged_but_the_frames_are() {
    let mut policy = policy(&RULES, &[]);
    let answer = to_guest("10.0.0.9", TCP, &tcp(443, 50_000, ACK, &[7; 9000]));
    let header = header(1, 0x81, [54, 1448, 34, 16]);
    assert_eq!(policy.judge_with_header(&header, &answer, ToGuest), Verdict::Pass);
    let stranger = to_guest("10.0.0.8", TCP, &tcp(443, 50_000, ACK, &[7; 9000]));
    assert_eq!(policy.judge_with_header(&header, &stranger, ToGuest), Verdict::Drop(Reason::NoRule));
}

#[test]
fn whatever_header_passes_the_kernel_makes_nothing_else_of_the_frame() {
    let mut policy = policy(&RULES, &[]);
    let mut seed = 7_u64;
    let mut below = |limit: usize| {
        // Marsaglia's xorshift64: the same numbers in every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % limit as u64).unwrap()
    };
    let (mut passed, mut harmful) = (0, 0);
    for _ in 0..50_000 {
        let (mut header, frame) = good().swap_remove(below(7));
        for _ in 0..below(3) {
            let at = below(VNET_HEADER_BYTES);
            let byte = u8::try_from(below(256)).unwrap();
            header[at] = if below(2) == 0 { byte } else { header[at].wrapping_add(byte % 3) };
        }
        let made = made_by_kernel(&header, &frame);
        let is_harmless = made.as_ref().is_some_and(|pieces| {
            pieces.iter().all(|piece| {
                policy.judge(piece, FromGuest) == Verdict::Pass && piece.len() <= 14 + 1500.max(frame.len())
            })
        });
        if policy.judge_with_header(&header, &frame, FromGuest) == Verdict::Pass {
            assert!(is_harmless, "{header:?}");
            passed += 1;
        } else {
            harmful += u32::from(!is_harmless);
        }
    }
    assert!(passed > 10_000 && harmful > 1_000, "{passed} {harmful}");
}
