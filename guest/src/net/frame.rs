//! Frames on their way out, and the buffers they live in.

use alloc::vec::Vec;

use hvcall::Frame;
use smoltcp::wire::ETHERNET_HEADER_LEN;

/// Buffers kept for reuse.
const MAX_SPARE: usize = 128;

/// A frame to send: its bytes, Ethernet header first, and the offload fields that go with it.
///
/// The descriptor's address is filled in when the frame is staged, because only then do the bytes stay put.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptor: Frame,
}

impl Outgoing {
    /// Everything behind the Ethernet header.
    pub(super) fn packet(&self) -> &[u8] {
        self.bytes.get(ETHERNET_HEADER_LEN..).unwrap_or_default()
    }
}

/// Buffers of sent frames, kept to save the allocator the work.
#[derive(Debug)]
pub(super) struct Pool {
    spare: Vec<Vec<u8>>,
    capacity: usize,
}

impl Pool {
    /// A pool of buffers for frames of `mtu` bytes behind the Ethernet header.
    pub(super) fn new(mtu: usize) -> Self {
        Self { spare: Vec::new(), capacity: mtu + ETHERNET_HEADER_LEN }
    }

    /// A frame with room for `packet_bytes` behind its Ethernet header, all zero.
    pub(super) fn take(&mut self, packet_bytes: usize) -> Outgoing {
        let size_bytes = packet_bytes + ETHERNET_HEADER_LEN;
        let mut bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.capacity.max(size_bytes)));
        bytes.clear();
        bytes.resize(size_bytes, 0);
        Outgoing { bytes, descriptor: Frame::default() }
    }

    /// Takes back the buffer of a frame that is no longer needed.
    pub(super) fn give(&mut self, frame: Outgoing) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(frame.bytes);
        }
    }
}
