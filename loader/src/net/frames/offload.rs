//! The offload header before a frame of the guest: what the host's kernel makes of the frame has to be what was judged.
//!
//! The kernel writes a checksum wherever the header says, and cuts a long segment into pieces, each behind a copy of as many of its
//! bytes as the header says (virtio 1.2, section 5.1.6.2). So a header passes that asks for nothing, or that is the one header which belongs to
//! the frame: TCP's checksum in its own place, and headers copied to their end. Only how long the pieces are is the guest's choice,
//! within the MTU and a number of pieces. All pieces have the addresses, the ports and the flags that were judged, but for FIN and PSH,
//! which only the last has, and CWR, which only the first has.

use super::decode::ETHERNET_BYTES;
use crate::net::offload::{Segment, VnetHeader};

/// Most pieces, each of which costs the host as much as a frame: those of the longest frame on a connection with the shortest segments that
/// Linux makes (`TCP_MIN_SND_MSS`, include/net/tcp.h, v6.12). A short frame may be in shorter pieces.
const MAX_PIECES: usize = 65_535 / 48;

/// Whether a header belongs to a frame that a policy lets through, on a NIC with this MTU.
pub(super) fn belongs(header: &VnetHeader, frame: &[u8], mtu: u16) -> bool {
    if header.iter().all(|byte| *byte == 0) {
        return true;
    }
    let piece_bytes = u16::from_le_bytes([header[4], header[5]]);
    Segment::of(frame).is_some_and(|segment| {
        *header == segment.header(piece_bytes) && (piece_bytes == 0 || may_be_cut(&segment, piece_bytes, mtu))
    })
}

/// A connection's first segment and a reset are never long.
fn may_be_cut(segment: &Segment<'_>, piece_bytes: u16, mtu: u16) -> bool {
    let tcp = &segment.tcp;
    let packet_bytes = segment.header_bytes() - ETHERNET_BYTES + usize::from(piece_bytes);
    tcp.payload().len().div_ceil(usize::from(piece_bytes)) <= MAX_PIECES
        && packet_bytes <= usize::from(mtu)
        && !tcp.syn()
        && !tcp.rst()
        && !tcp.urg()
}
