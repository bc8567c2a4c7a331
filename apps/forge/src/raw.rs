//! Frames without a stack.
#![expect(unsafe_code, reason = "a frame's address goes straight to the monitor")]

use guest::hv;
use guest::hvcall::{Events, Frame, Status};

/// Sends one frame, and waits as long as the NIC takes none.
pub(crate) fn send(frame: &[u8]) {
    let descriptor = Frame {
        address: frame.as_ptr().addr() as u64,
        size_bytes: u32::try_from(frame.len()).unwrap_or(0),
        ..Frame::default()
    };
    // SAFETY: the descriptor names `frame`, which lives until the call returns.
    while unsafe { hv::net_send(0, &[descriptor]) } == Err(Status::AGAIN) {
        // The deadline is far away, and an early end only means to try again.
        let _ = hv::wait(u64::MAX, Events::nic_transmit(0));
    }
}
