//! NICs: descriptors on which one read or write is one frame. Frames are never parsed here.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use hvcall::boot::Offloads;
use hvcall::frame::{MAX_FRAME_BYTES, MIN_FRAME_BYTES};
use hvcall::{Frame, NicInfo, Status, Wire as _, planted};

use crate::address::index;

use super::memory::{GuestMemory, Source, Target};
use super::transfer;

/// Bytes of `struct virtio_net_hdr` (virtio 1.2, section 5.1.6, without the mergeable-buffer field).
const VNET_HEADER_BYTES: usize = 10;
/// Frames thrown away in one call before it gives the others a turn: too long for their buffer, or too short to be frames.
const MAX_DROPS: usize = 64;
const ENTRIES: usize = index(hvcall::MAX_ENTRIES);

/// One NIC.
#[derive(Debug)]
pub struct Nic {
    fd: OwnedFd,
    info: NicInfo,
    vnet_header: bool,
    spill: Box<[u8]>,
}

impl Nic {
    /// A NIC on a non-blocking descriptor. `vnet_header` says that each frame is preceded by a `struct virtio_net_hdr`.
    #[must_use]
    pub fn new(fd: OwnedFd, info: NicInfo, vnet_header: bool) -> Self {
        Self { fd, info, vnet_header, spill: vec![0; MAX_FRAME_BYTES as usize].into_boxed_slice() }
    }

    /// What the guest is told.
    #[must_use]
    pub const fn info(&self) -> &NicInfo {
        &self.info
    }

    /// The descriptor, to wait on.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor's number, for the sandbox.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Sends the frames described by `descriptors`.
    ///
    /// # Errors
    /// See [`hvcall::Call::NetSend`].
    pub fn send(&self, memory: &GuestMemory, descriptors: &Source, count: usize) -> Result<u64, Status> {
        let offloads = self.info.offloads();
        let mut frames = heapless::Vec::<(Frame, Source), ENTRIES>::new();
        for descriptor in read_array(descriptors, count) {
            descriptor.check_send(
                offloads.contains(Offloads::CHECKSUM),
                offloads.contains(Offloads::SEGMENTATION),
            )?;
            let frame = memory.source(hvcall::Gva(descriptor.address), u64::from(descriptor.size_bytes))?;
            let _ = frames.push((descriptor, frame));
        }
        let mut sent = 0;
        for (descriptor, frame) in &frames {
            let header = encode_header(descriptor);
            let header = if self.vnet_header { header.as_slice() } else { &[] };
            match transfer::writev(self.fd(), header, frame) {
                Ok(_) => sent += 1,
                Err(error) if planted!(PartialEffectHidden => true, sent == 0) => {
                    return Err(status_of(&error));
                }
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Receives into the buffers described by `descriptors` and writes lengths and offload fields there.
    ///
    /// # Errors
    /// See [`hvcall::Call::NetRecv`].
    pub fn receive(
        &mut self,
        memory: &GuestMemory,
        descriptors: &Target,
        count: usize,
    ) -> Result<u64, Status> {
        let mut buffers = heapless::Vec::<(Frame, Target), ENTRIES>::new();
        for descriptor in read_array(&descriptors.as_source(), count) {
            descriptor.check_receive()?;
            let buffer = memory.target(hvcall::Gva(descriptor.address), u64::from(descriptor.size_bytes))?;
            let _ = buffers.push((descriptor, buffer));
        }
        let (mut received, mut drops) = (0, 0);
        while received < buffers.len() && drops < MAX_DROPS {
            let (descriptor, buffer) = &buffers[received];
            match self.receive_one(descriptor, buffer) {
                Ok(Some(filled)) => {
                    let mut bytes = [0; Frame::SIZE_BYTES];
                    filled.write(&mut bytes);
                    descriptors.from_offset(received * Frame::SIZE_BYTES).copy_from(&bytes);
                    received += 1;
                }
                Ok(None) => drops += 1,
                Err(error) if received == 0 => return Err(status_of(&error)),
                Err(_) => break,
            }
        }
        if received == 0 && count != 0 { Err(Status::AGAIN) } else { Ok(received as u64) }
    }

    /// Takes one frame; `None` if it was dropped.
    fn receive_one(&mut self, descriptor: &Frame, buffer: &Target) -> io::Result<Option<Frame>> {
        let mut header = [0; VNET_HEADER_BYTES];
        let header_bytes = if self.vnet_header { VNET_HEADER_BYTES } else { 0 };
        let taken = transfer::readv(self.fd.as_fd(), &mut header[..header_bytes], buffer, &mut self.spill)?;
        if taken == 0 {
            // The other end of a socket pair is gone.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size_bytes = u32::try_from(taken.saturating_sub(header_bytes)).unwrap_or(u32::MAX);
        let most = planted!(ReplyTooLarge => u32::MAX, descriptor.size_bytes);
        if !(MIN_FRAME_BYTES..=most).contains(&size_bytes) {
            return Ok(None);
        }
        Ok(Some(Frame { address: descriptor.address, size_bytes, ..decode_header(&header) }))
    }
}

fn read_array(descriptors: &Source, count: usize) -> heapless::Vec<Frame, ENTRIES> {
    let mut copy = [0; ENTRIES * Frame::SIZE_BYTES];
    descriptors.copy_to(&mut copy);
    copy.chunks_exact(Frame::SIZE_BYTES).take(count).map(Frame::read).collect()
}

fn encode_header(frame: &Frame) -> [u8; VNET_HEADER_BYTES] {
    let mut header = [0; VNET_HEADER_BYTES];
    // Both fit a byte: `check_send` accepted only known values.
    header[0] = frame.flags.to_le_bytes()[0];
    header[1] = frame.gso_type.to_le_bytes()[0];
    [frame.header_bytes, frame.gso_size, frame.csum_start, frame.csum_offset].write(&mut header[2..]);
    header
}

fn decode_header(header: &[u8; VNET_HEADER_BYTES]) -> Frame {
    let [header_bytes, gso_size, csum_start, csum_offset] = <[u16; 4]>::read(&header[2..]);
    Frame {
        flags: u16::from(header[0]),
        gso_type: u16::from(header[1]),
        header_bytes,
        gso_size,
        csum_start,
        csum_offset,
        ..Frame::default()
    }
}

/// What the guest learns of a failed transfer: busy, or gone.
fn status_of(error: &io::Error) -> Status {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Status::AGAIN,
        _ => Status::IO,
    }
}
