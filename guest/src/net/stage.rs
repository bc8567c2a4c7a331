//! The device that smoltcp sees: one staged packet to take in, and the link to send on.

use core::num::NonZeroUsize;

use hvcall::boot::Offloads;
use hvcall::frame::MAX_FRAME_BYTES;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::wire::ETHERNET_HEADER_LEN;

use super::link::Link;
use crate::time::Instant;

/// smoltcp's clock: microseconds.
pub(super) fn to_smoltcp(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_ns() / 1_000).unwrap_or(i64::MAX))
}

/// Back from smoltcp's clock. Its "now" is 0.
pub(super) fn from_smoltcp(at: smoltcp::time::Instant) -> Instant {
    Instant::from_ns(u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1_000))
}

/// A device that yields the staged packet once and then nothing.
pub(super) struct Stage<'a> {
    pub(super) packet: Option<&'a [u8]>,
    pub(super) link: &'a mut Link,
    pub(super) now: Instant,
}

impl Device for Stage<'_> {
    type RxToken<'b>
        = Staged<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Slot<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Staged<'_>, Slot<'_>)> {
        let packet = self.packet.take()?;
        Some((Staged(packet), Slot::new(self.link, self.now)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Slot<'_>> {
        self.link.has_room().then(|| Slot::new(self.link, self.now))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.link.mtu, self.link.offloads)
    }
}

/// TCP and UDP checksums of what arrives are checked (or trusted) before a packet is staged: whether to trust them is a
/// property of each frame, and smoltcp knows only devices. Those of TCP that leave are left to the host where it offers that.
///
/// Long IPv6 packets are not asked for: smoltcp 0.14 drops those above the MTU, whoever is to cut them. They become long in
/// `coalesce`.
fn capabilities(mtu: usize, offloads: Offloads) -> DeviceCapabilities {
    /// Longest IP packet that fits a frame with its Ethernet header.
    const LONGEST: usize = MAX_FRAME_BYTES as usize - ETHERNET_HEADER_LEN;
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    let checksum = offloads.contains(Offloads::CHECKSUM);
    capabilities.checksum.tcp = if checksum { Checksum::None } else { Checksum::Tx };
    capabilities.checksum.udp = Checksum::Tx;
    if checksum && offloads.contains(Offloads::SEGMENTATION) {
        capabilities.segmentation.tcpv4 = NonZeroUsize::new(LONGEST);
    }
    capabilities
}

/// The staged packet.
pub(super) struct Staged<'a>(&'a [u8]);

impl RxToken for Staged<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Leave to send one packet.
pub(super) struct Slot<'a> {
    link: &'a mut Link,
    now: Instant,
    /// Largest payload of a piece, if the packet is to be cut on its way.
    piece_bytes: Option<u16>,
}

impl<'a> Slot<'a> {
    fn new(link: &'a mut Link, now: Instant) -> Self {
        Self { link, now, piece_bytes: None }
    }
}

impl TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, size_bytes: usize, fill: F) -> R {
        self.link.send_segment(size_bytes, self.piece_bytes, self.now, fill)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.piece_bytes = meta.segmentation_offload_size.map(Into::into);
    }
}
