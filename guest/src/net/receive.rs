//! Buffers that the monitor fills with frames.
#![expect(unsafe_code, reason = "reads what the monitor wrote into memory that nobody else has written")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use hvcall::Frame;
use hvcall::frame::MAX_FRAME_BYTES;
use smoltcp::wire::ETHERNET_HEADER_LEN;

/// Most buffers: as many frames as a call takes.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
const MAX_BUFFERS: usize = hvcall::MAX_ENTRIES as usize;
const MIN_BUFFERS: usize = 8;
/// Buffers hold at least this much, and take together at most this share of the heap.
const MIN_BUFFER_BYTES: usize = 2 * 1024;
const HEAP_SHARE: usize = 16;

/// The receive buffers of one NIC, and the descriptors that name them.
///
/// They are not cleared when they are made: pages that no frame ever reached cost the host no memory.
#[derive(Debug)]
pub(super) struct ReceiveBuffers {
    buffers: Vec<Box<[MaybeUninit<u8>]>>,
    descriptors: Vec<Frame>,
}

impl ReceiveBuffers {
    /// Buffers for frames of up to `mtu` bytes behind their Ethernet header, or of any length if segments arrive uncut.
    pub(super) fn new(mtu: usize, uncut: bool, heap_bytes: usize) -> Self {
        let longest = MAX_FRAME_BYTES as usize;
        let size_bytes =
            if uncut { longest } else { (mtu + ETHERNET_HEADER_LEN).clamp(MIN_BUFFER_BYTES, longest) };
        let count = (heap_bytes / HEAP_SHARE / size_bytes).clamp(MIN_BUFFERS, MAX_BUFFERS);
        Self {
            buffers: (0..count).map(|_| Box::new_uninit_slice(size_bytes)).collect(),
            descriptors: alloc::vec![Frame::default(); count],
        }
    }

    /// The descriptors, all naming empty buffers: for the monitor to fill and to write.
    pub(super) fn empty(&mut self) -> &mut [Frame] {
        for (descriptor, buffer) in self.descriptors.iter_mut().zip(&mut self.buffers) {
            let size_bytes = u32::try_from(buffer.len()).unwrap_or(MAX_FRAME_BYTES);
            *descriptor = Frame::plain(buffer.as_mut_ptr().expose_provenance() as u64, size_bytes);
        }
        &mut self.descriptors
    }

    /// The frames in the first `count` buffers, with their flags.
    ///
    /// # Safety
    /// The monitor has filled so many since [`Self::empty`].
    pub(super) unsafe fn filled(&self, count: usize) -> impl Iterator<Item = (&[u8], u16)> {
        self.descriptors.iter().zip(&self.buffers).take(count).map(|(descriptor, buffer)| {
            let size_bytes = usize::try_from(descriptor.size_bytes).unwrap_or(0).min(buffer.len());
            // SAFETY: the monitor wrote a frame of that many bytes from the buffer's start on (hvcall, `net_recv`), as the caller
            // vouches; the length is at most the buffer's.
            let frame = unsafe { buffer[..size_bytes].assume_init_ref() };
            (frame, descriptor.flags)
        })
    }
}
