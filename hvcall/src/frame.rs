//! Descriptors of packets.

use crate::{Status, planted, wire_struct};

/// Largest frame a call carries, its Ethernet header included.
pub const MAX_FRAME_BYTES: u32 = 65_535;
/// Smallest frame that is sent: an Ethernet header.
pub const MIN_FRAME_BYTES: u32 = 14;

/// `Frame::flags` for sending: the checksum at `csum_start + csum_offset` is still to be filled in by whoever needs it.
/// The field holds the pseudo-header sum. For receiving: likewise, the sender lives on this host and left it out.
pub const FLAG_NEEDS_CSUM: u16 = 1;
/// `Frame::flags` for receiving: the checksums were verified on the way.
pub const FLAG_DATA_VALID: u16 = 2;

/// `Frame::gso_type`: the frame is one packet.
pub const GSO_NONE: u16 = 0;
/// `Frame::gso_type`: the frame is a TCP/IPv4 segment to be cut into `gso_size` pieces.
pub const GSO_TCPV4: u16 = 1;
/// `Frame::gso_type`: the frame is a TCP/IPv6 segment to be cut into `gso_size` pieces.
pub const GSO_TCPV6: u16 = 4;

wire_struct! {
    /// One frame of a `net_send` or `net_recv` array.
    ///
    /// The offload fields have the meaning of `struct virtio_net_hdr` (virtio 1.2, section 5.1.6). A NIC that does not
    /// offer an offload (see [`crate::boot::Offloads`]) takes only frames whose offload fields are zero.
    pub struct Frame {
        /// Guest-virtual address of the frame, any alignment.
        pub address: u64,
        /// Sending: length of the frame, 14 to 65,535. Receiving: before, the size of the buffer, 1 to 65,535; after, the
        /// length of what arrived.
        pub size_bytes: u32,
        /// [`FLAG_NEEDS_CSUM`], [`FLAG_DATA_VALID`].
        pub flags: u16,
        /// [`GSO_NONE`], [`GSO_TCPV4`] or [`GSO_TCPV6`].
        pub gso_type: u16,
        /// Length of the headers that every piece of a segmented frame gets.
        pub header_bytes: u16,
        /// Largest payload of a piece.
        pub gso_size: u16,
        /// Where summing starts, from the start of the frame.
        pub csum_start: u16,
        /// Where the sum goes, from `csum_start`.
        pub csum_offset: u16,
    }
}
static_assertions::const_assert_eq!(size_of::<Frame>(), 24);
static_assertions::const_assert_eq!(core::mem::offset_of!(Frame, flags), 12);
static_assertions::const_assert_eq!(core::mem::offset_of!(Frame, csum_offset), 22);

impl Frame {
    /// A frame to send or a buffer to receive into, without offloads.
    #[must_use]
    pub const fn plain(address: u64, size_bytes: u32) -> Self {
        Self {
            address,
            size_bytes,
            flags: 0,
            gso_type: GSO_NONE,
            header_bytes: 0,
            gso_size: 0,
            csum_start: 0,
            csum_offset: 0,
        }
    }

    /// Checks a frame that a guest asks to send on a NIC that offers `checksum` and `segmentation` offload.
    ///
    /// # Errors
    /// `INVAL` if the length, an offload that is not offered, or an offset outside the frame says so.
    pub fn check_send(&self, checksum: bool, segmentation: bool) -> Result<(), Status> {
        if !(MIN_FRAME_BYTES..=MAX_FRAME_BYTES).contains(&self.size_bytes) {
            return Err(Status::INVAL);
        }
        match self.flags {
            0 => self.check_zero(self.csum_start | self.csum_offset)?,
            FLAG_NEEDS_CSUM if checksum => {
                let end = u32::from(self.csum_start) + u32::from(self.csum_offset) + 2;
                self.check(planted!(ChecksumBeyondFrame => 0, end) <= self.size_bytes)?;
            }
            _ => return Err(Status::INVAL),
        }
        match self.gso_type {
            GSO_NONE => self.check_zero(self.gso_size | self.header_bytes),
            GSO_TCPV4 | GSO_TCPV6 if segmentation => {
                self.check(self.flags == FLAG_NEEDS_CSUM && self.gso_size != 0)?;
                self.check(
                    u32::from(self.header_bytes) <= self.size_bytes && self.header_bytes >= self.csum_start,
                )
            }
            _ => Err(Status::INVAL),
        }
    }

    /// Checks a buffer that a guest offers for receiving.
    ///
    /// # Errors
    /// `INVAL` if its size is outside 1 to 65,535 or an offload field is not zero.
    pub fn check_receive(&self) -> Result<(), Status> {
        self.check((1..=MAX_FRAME_BYTES).contains(&self.size_bytes))?;
        self.check_zero(
            self.flags
                | self.gso_type
                | self.header_bytes
                | self.gso_size
                | self.csum_start
                | self.csum_offset,
        )
    }

    #[allow(clippy::unused_self, reason = "reads as a property of the frame")]
    fn check(&self, holds: bool) -> Result<(), Status> {
        if holds { Ok(()) } else { Err(Status::INVAL) }
    }

    fn check_zero(&self, fields: u16) -> Result<(), Status> {
        self.check(fields == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Frame {
        Frame {
            flags: FLAG_NEEDS_CSUM,
            gso_type: GSO_TCPV4,
            header_bytes: 54,
            gso_size: 1460,
            csum_start: 34,
            csum_offset: 16,
            ..Frame::plain(0x10_0000_0000, 9000)
        }
    }

    #[test]
    fn send_takes_only_what_the_nic_offers() {
        assert_eq!(segment().check_send(true, true), Ok(()));
        assert_eq!(segment().check_send(true, false), Err(Status::INVAL));
        assert_eq!(segment().check_send(false, false), Err(Status::INVAL));
        assert_eq!(Frame::plain(0, 14).check_send(false, false), Ok(()));
    }

    #[test]
    fn send_rejects_lengths_and_offsets_outside_the_frame() {
        for size_bytes in [0, 13, 65_536, u32::MAX] {
            assert_eq!(Frame::plain(0, size_bytes).check_send(true, true), Err(Status::INVAL));
        }
        for spoiled in [
            Frame { csum_start: 8_990, ..segment() },
            Frame { csum_offset: u16::MAX, ..segment() },
            Frame { gso_size: 0, ..segment() },
            Frame { header_bytes: 10_000, ..segment() },
            Frame { flags: 0, ..segment() },
            Frame { flags: FLAG_DATA_VALID, ..segment() },
            Frame { gso_type: 3, ..segment() },
            Frame { gso_size: 1, ..Frame::plain(0, 60) },
            Frame { csum_start: 1, ..Frame::plain(0, 60) },
        ] {
            assert_eq!(spoiled.check_send(true, true), Err(Status::INVAL), "{spoiled:?}");
        }
    }

    #[test]
    fn receive_takes_clean_buffers_only() {
        assert_eq!(Frame::plain(0, 2048).check_receive(), Ok(()));
        assert_eq!(Frame::plain(0, 0).check_receive(), Err(Status::INVAL));
        assert_eq!(Frame::plain(0, 65_536).check_receive(), Err(Status::INVAL));
        assert_eq!(segment().check_receive(), Err(Status::INVAL));
    }
}
