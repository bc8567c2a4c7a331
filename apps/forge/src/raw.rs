//! Frames without a stack.
#![expect(unsafe_code, reason = "a frame's address goes straight to the monitor")]

use guest::hv;
use guest::hvcall::{Events, Frame, Status};

/// Sends one frame with its offload fields, in the order of virtio's header, and waits as long as the NIC takes none.
pub(crate) fn send(frame: &[u8], offload: [u16; 6]) {
    let [flags, gso_type, header_bytes, gso_size, csum_start, csum_offset] = offload;
    let descriptor = Frame {
        address: frame.as_ptr().addr() as u64,
        size_bytes: u32::try_from(frame.len()).unwrap_or(0),
        flags,
        gso_type,
        header_bytes,
        gso_size,
        csum_start,
        csum_offset,
    };
    // SAFETY: the descriptor names `frame`, which lives until the call returns.
    while unsafe { hv::net_send(0, &[descriptor]) } == Err(Status::AGAIN) {
        // The deadline is far away, and an early end only means to try again.
        let _ = hv::wait(u64::MAX, Events::nic_transmit(0));
    }
}
