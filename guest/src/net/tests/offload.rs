//! What the host does for a stack, done here by the book.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use hvcall::boot::Offloads;
use hvcall::frame::{FLAG_NEEDS_CSUM, GSO_NONE, GSO_TCPV4, GSO_TCPV6};
use hvcall::{Frame, NicInfo};
use smoltcp::wire::checksum;

use super::super::frame::Outgoing;
use super::super::tcp::Buffers;
use super::tcp::exchange;
use super::{Pair, listen, nic, read, stack, v4, v6, write};

/// Finishes a frame as a host does: cuts it and fills in checksums, as its descriptor says (virtio 1.2, section 5.1.6.2).
pub(super) fn finish(frame: &Outgoing) -> Vec<Vec<u8>> {
    let Frame { flags, gso_type, gso_size, header_bytes, csum_start, csum_offset, .. } = frame.descriptor;
    let mut pieces = if gso_type == GSO_NONE {
        vec![frame.bytes.clone()]
    } else {
        assert_eq!(flags, FLAG_NEEDS_CSUM);
        cut(&frame.bytes, usize::from(header_bytes), usize::from(csum_start), usize::from(gso_size))
    };
    if flags == FLAG_NEEDS_CSUM {
        for piece in &mut pieces {
            let start = usize::from(csum_start);
            let sum = !checksum::data(&piece[start..]);
            piece[start + usize::from(csum_offset)..][..2].copy_from_slice(&sum.to_be_bytes());
        }
    }
    pieces
}

fn cut(frame: &[u8], header_bytes: usize, tcp: usize, piece_bytes: usize) -> Vec<Vec<u8>> {
    let (header, payload) = frame.split_at(header_bytes);
    let count = payload.len().div_ceil(piece_bytes);
    assert!(count > 1, "a segment that need not be cut");
    payload
        .chunks(piece_bytes)
        .enumerate()
        .map(|(index, chunk)| {
            let mut piece = [header, chunk].concat();
            let number = u32::from_be_bytes(piece[tcp + 4..tcp + 8].try_into().unwrap());
            let number = number.wrapping_add(u32::try_from(index * piece_bytes).unwrap());
            piece[tcp + 4..tcp + 8].copy_from_slice(&number.to_be_bytes());
            if index + 1 < count {
                // FIN and PSH belong to the last one.
                piece[tcp + 13] &= !0x09;
            }
            shorten(&mut piece, payload.len() - chunk.len(), tcp);
            piece
        })
        .collect()
}

/// Sets the lengths of a piece: in the IP header, and in the sum of the pseudo-header.
fn shorten(piece: &mut [u8], by: usize, tcp: usize) {
    let (length, ipv4) = if piece[14] >> 4 == 4 { (16, true) } else { (18, false) };
    let by = u16::try_from(by).unwrap();
    let field = u16::from_be_bytes([piece[length], piece[length + 1]]) - by;
    piece[length..length + 2].copy_from_slice(&field.to_be_bytes());
    if ipv4 {
        piece[24..26].fill(0);
        let sum = !checksum::data(&piece[14..tcp]);
        piece[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    let sum = u16::from_be_bytes([piece[tcp + 16], piece[tcp + 17]]);
    let sum = checksum::combine(&[sum, !by]);
    piece[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
}

fn offloading(number: u8) -> NicInfo {
    NicInfo { offloads: Offloads::all().bits(), ..nic(number) }
}

fn pair() -> Pair {
    let mut pair = Pair::of(stack(&offloading(1)), stack(&offloading(2)));
    listen(&mut pair.two, 7);
    pair
}

#[test]
fn uncut_segments_carry_a_megabyte_each_way_in_few_frames() {
    for to in [v4(2), v6(2)] {
        let mut pair = pair();
        let (client, server) = pair.connect(to, 7).unwrap();
        let before = pair.link.carried;
        exchange(&mut pair, client, server, 1 << 20);
        // Two megabytes are 1,437 full segments of 1,460 bytes, and acknowledgements besides.
        let carried = pair.link.carried - before;
        assert!(carried < 500, "{carried} frames");
    }
}

#[test]
fn what_the_host_makes_of_long_segments_is_what_the_peer_takes() {
    for (to, loss) in [(v4(2), 0), (v6(2), 0), (v4(2), 50), (v6(2), 50)] {
        let mut pair = pair();
        pair.link.wire = true;
        pair.link.loss = loss;
        pair.link.reorder = loss;
        let (client, server) = pair.connect(to, 7).unwrap();
        exchange(&mut pair, client, server, 1 << 20);
        let dropped = pair.one.stats().receive_dropped + pair.two.stats().receive_dropped;
        assert_eq!(dropped, 0, "frames that arrived were not sound");
    }
}

#[test]
fn long_segments_pass_the_monitors_checks() {
    for (to, gso_type) in [(v4(2), GSO_TCPV4), (v6(2), GSO_TCPV6)] {
        let mut pair = pair();
        let (client, server) = pair.connect(to, 7).unwrap();
        let (mut longest, mut buffer) = (0, [0; 65_536]);
        for _ in 0..50 {
            write(&mut pair.one, client, &vec![7; Buffers::default().send_bytes]);
            pair.one.poll(pair.now);
            while let Some(frame) = pair.one.pop_frame(0) {
                let size_bytes = u32::try_from(frame.bytes.len()).unwrap();
                let descriptor = Frame { size_bytes, ..frame.descriptor };
                assert_eq!(descriptor.check_send(true, true), Ok(()), "{descriptor:?}");
                if descriptor.gso_type != GSO_NONE {
                    assert_eq!(descriptor.gso_type, gso_type);
                    assert!(descriptor.gso_size <= 1_460);
                    longest = longest.max(size_bytes);
                }
                pair.two.receive(0, &frame.bytes, frame.descriptor.flags, pair.now);
            }
            while read(&mut pair.two, server, &mut buffer).is_some() {}
            // For acknowledgements that are held back.
            pair.pass(Duration::from_millis(20));
        }
        assert!(longest > 4 * 1_460, "{longest}");
    }
}

#[test]
fn a_checksum_is_trusted_only_if_the_flags_say_so() {
    let mut pair = pair();
    let (client, _) = pair.connect(v4(2), 7).unwrap();
    write(&mut pair.one, client, b"unfinished");
    pair.one.poll(pair.now);
    let frame = pair.one.pop_frame(0).unwrap();
    assert_eq!(frame.descriptor.flags, FLAG_NEEDS_CSUM);
    pair.two.receive(0, &frame.bytes, 0, pair.now);
    assert_eq!(pair.two.stats().receive_dropped, 1);
    pair.two.receive(0, &frame.bytes, FLAG_NEEDS_CSUM, pair.now);
    assert_eq!(pair.two.stats().receive_dropped, 1);
}
