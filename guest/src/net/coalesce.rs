//! Consecutive segments of a flow become one long one, for the host to cut again.
//!
//! What crosses the boundary costs by the frame. smoltcp makes long segments itself over IPv4; over IPv6 it cannot, and where
//! its send buffer wraps around it makes two.

use hvcall::frame::{FLAG_NEEDS_CSUM, GSO_NONE, MAX_FRAME_BYTES};
use smoltcp::wire::{
    ETHERNET_HEADER_LEN, IPV6_HEADER_LEN, Ipv4Packet, Ipv6Packet, TCP_HEADER_LEN, TcpPacket,
};

use super::frame::Outgoing;
use super::offload;

/// Appends `next` to `last`, to be cut into pieces of `piece_bytes`.
pub(super) fn append(last: &mut Outgoing, next: &Outgoing, piece_bytes: u16) {
    let start = usize::from(next.descriptor.csum_start);
    let header_bytes = start + TCP_HEADER_LEN;
    last.bytes.extend_from_slice(next.bytes.get(header_bytes..).unwrap_or_default());
    if TcpPacket::new_unchecked(&next.bytes[start..]).psh() {
        TcpPacket::new_unchecked(&mut last.bytes[start..]).set_psh(true);
    }
    set_ip_length(last);
    offload::leave_checksum(last, Some(piece_bytes));
}

/// The size of the pieces that both together are to be cut into, if they can be one segment: who gets the pieces cannot tell.
pub(super) fn piece_bytes(last: &Outgoing, next: &Outgoing) -> Option<u16> {
    let start = usize::from(next.descriptor.csum_start);
    let checksums_left = [last, next].iter().all(|frame| {
        frame.descriptor.flags == FLAG_NEEDS_CSUM && usize::from(frame.descriptor.csum_start) == start
    });
    let header_bytes = start + TCP_HEADER_LEN;
    let (last_payload, next_payload) = (last.bytes.get(header_bytes..)?, next.bytes.get(header_bytes..)?);
    let fits = last.bytes.len() + next_payload.len() <= MAX_FRAME_BYTES as usize;
    if !checksums_left || !fits || last_payload.is_empty() || next_payload.is_empty() {
        return None;
    }
    let (first, second) =
        (TcpPacket::new_unchecked(&last.bytes[start..]), TcpPacket::new_unchecked(&next.bytes[start..]));
    let plain = |segment: &TcpPacket<&[u8]>| {
        usize::from(segment.header_len()) == TCP_HEADER_LEN
            && !(segment.syn() || segment.fin() || segment.rst() || segment.urg())
    };
    let follows = first.seq_number() + last_payload.len() == second.seq_number();
    let alike = first.src_port() == second.src_port()
        && first.dst_port() == second.dst_port()
        && first.ack_number() == second.ack_number()
        && first.window_len() == second.window_len();
    if !(plain(&first) && plain(&second) && !first.psh() && follows && alike && same_ip(last, next)) {
        return None;
    }
    let piece_bytes = match last.descriptor.gso_type {
        GSO_NONE => u16::try_from(last_payload.len()).ok()?,
        _ => last.descriptor.gso_size,
    };
    // Every piece but the last is full, as they were before.
    let full = last_payload.len().is_multiple_of(usize::from(piece_bytes));
    let suits = match next.descriptor.gso_type {
        GSO_NONE => next_payload.len() <= usize::from(piece_bytes),
        _ => next.descriptor.gso_size == piece_bytes,
    };
    (full && suits).then_some(piece_bytes)
}

/// Whether both have the same Ethernet header, and the same IP header but for what differs from packet to packet.
fn same_ip(last: &Outgoing, next: &Outgoing) -> bool {
    let Some(version) = last.packet().first().map(|byte| byte >> 4) else { return false };
    let ranges: &[core::ops::Range<usize>] = match version {
        // All but total length, identification and checksum.
        4 => &[0..2, 6..10, 12..20],
        // All but the payload length.
        _ => &[0..4, 6..IPV6_HEADER_LEN],
    };
    last.bytes[..ETHERNET_HEADER_LEN] == next.bytes[..ETHERNET_HEADER_LEN]
        && ranges.iter().all(|range| last.packet().get(range.clone()) == next.packet().get(range.clone()))
}

fn set_ip_length(frame: &mut Outgoing) {
    let packet = frame.bytes.get_mut(ETHERNET_HEADER_LEN..).unwrap_or_default();
    let size_bytes = packet.len();
    if packet.first().is_some_and(|byte| byte >> 4 == 4) {
        let mut ip = Ipv4Packet::new_unchecked(packet);
        ip.set_total_len(u16::try_from(size_bytes).unwrap_or(u16::MAX));
        ip.fill_checksum();
    } else {
        let payload_bytes = u16::try_from(size_bytes.saturating_sub(IPV6_HEADER_LEN)).unwrap_or(u16::MAX);
        Ipv6Packet::new_unchecked(packet).set_payload_len(payload_bytes);
    }
}
