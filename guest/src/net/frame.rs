//! Frames on their way out and in, and the buffers they live in.

use alloc::vec::Vec;

use hvcall::Frame;
use hvcall::frame::MAX_FRAME_BYTES;
use smoltcp::wire::ETHERNET_HEADER_LEN;

/// Buffers kept for reuse: of the size of the MTU, and of segments that the host cuts.
const MAX_SPARE: usize = 128;
const MAX_SPARE_LARGE: usize = 16;

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
    large: Vec<Vec<u8>>,
    capacity: usize,
}

impl Pool {
    /// A pool of buffers for frames of `mtu` bytes behind the Ethernet header.
    pub(super) fn new(mtu: usize) -> Self {
        Self { spare: Vec::new(), large: Vec::new(), capacity: mtu + ETHERNET_HEADER_LEN }
    }

    /// A frame with room for `packet_bytes` behind its Ethernet header. It may hold bytes of an earlier frame: who takes it
    /// writes all of it.
    pub(super) fn take(&mut self, packet_bytes: usize) -> Outgoing {
        let size_bytes = packet_bytes + ETHERNET_HEADER_LEN;
        let (spare, capacity) = if size_bytes <= self.capacity {
            (&mut self.spare, self.capacity)
        } else {
            (&mut self.large, MAX_FRAME_BYTES as usize)
        };
        let mut bytes = spare.pop().unwrap_or_else(|| Vec::with_capacity(capacity.max(size_bytes)));
        bytes.resize(size_bytes, 0);
        Outgoing { bytes, descriptor: Frame::default() }
    }

    /// Gives a frame a buffer in which it may grow as long as frames get.
    pub(super) fn enlarge(&mut self, frame: &mut Outgoing) {
        if frame.bytes.len() <= self.capacity {
            let mut long = self.large.pop().unwrap_or_else(|| Vec::with_capacity(MAX_FRAME_BYTES as usize));
            long.clear();
            long.extend_from_slice(&frame.bytes);
            let short = core::mem::replace(&mut frame.bytes, long);
            self.give(Outgoing { bytes: short, descriptor: Frame::default() });
        }
    }

    /// Takes back the buffer of a frame that is no longer needed.
    pub(super) fn give(&mut self, frame: Outgoing) {
        let (spare, limit) = if frame.bytes.len() <= self.capacity {
            (&mut self.spare, MAX_SPARE)
        } else {
            (&mut self.large, MAX_SPARE_LARGE)
        };
        if spare.len() < limit {
            spare.push(frame.bytes);
        }
    }
}
