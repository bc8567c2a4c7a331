//! The guest's end of the wire: frames out of and into a socket on which one message is an offload header and a frame.

use core::net::IpAddr;
use core::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use smoltcp::phy::{self, Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

use super::addresses::UserNet;
use super::packet::ETHERNET_BYTES;
use crate::net::offload::leave_checksum;
use crate::net::tap::VNET_HEADER_BYTES;

/// Room for the longest message there is: the offload header, an Ethernet header, and an IPv6 packet with the longest payload.
pub(super) const MESSAGE_BYTES: usize = VNET_HEADER_BYTES + ETHERNET_BYTES + 40 + 65_535;

/// What a read from the guest gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Received {
    /// A frame, in these bytes of the message.
    Frame(Range<usize>),
    /// Nothing right now.
    Nothing,
    /// The other end is gone.
    Closed,
}

/// The frame socket. At most one frame waits for the guest to take others first; while it does, the link is *blocked* and
/// nothing else is sent, so that what the guest does not read stays with its sender.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    guest_mac: EthernetAddress,
    outgoing: Box<[u8]>,
    unsent_bytes: usize,
    closed: bool,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            guest_mac: EthernetAddress(UserNet::GUEST_MAC),
            outgoing: vec![0; MESSAGE_BYTES].into_boxed_slice(),
            unsent_bytes: 0,
            closed: false,
        }
    }

    /// Answers go to the address that the guest sends from.
    pub(super) fn learn(&mut self, guest: EthernetAddress) {
        self.guest_mac = guest;
    }

    /// Whether a frame is still waiting.
    pub(super) fn is_blocked(&self) -> bool {
        self.unsent_bytes != 0
    }

    /// Whether the guest's end is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Reads one message into `message`, which holds [`MESSAGE_BYTES`]. The frame in one that is too long or too short is empty, and
    /// decodes to nothing. What its header says about checksums is not looked at, as they are not.
    pub(super) fn receive(&mut self, message: &mut [u8]) -> Received {
        match recv(&self.socket, message, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, 0)) => self.closed = true,
            Ok((taken, whole)) if taken == whole => {
                return Received::Frame(VNET_HEADER_BYTES.min(whole)..whole);
            }
            Ok(_) => return Received::Frame(0..0),
            Err(Errno::AGAIN | Errno::INTR) => return Received::Nothing,
            Err(_) => self.closed = true,
        }
        Received::Closed
    }

    /// Sends an IP packet of `packet_bytes` bytes that `fill` writes.
    pub(super) fn send_ip<R>(&mut self, packet_bytes: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.send(EthernetProtocol::Ipv4, packet_bytes, |packet, ethertype| {
            let result = fill(packet);
            if packet.first().is_some_and(|version| version >> 4 == 6) {
                *ethertype = EthernetProtocol::Ipv6;
            }
            result
        })
    }

    /// Sends an ARP packet.
    pub(super) fn send_arp(&mut self, packet_bytes: usize, fill: impl FnOnce(&mut [u8])) {
        self.send(EthernetProtocol::Arp, packet_bytes, |packet, _| fill(packet));
    }

    fn send<R>(
        &mut self,
        mut ethertype: EthernetProtocol,
        payload_bytes: usize,
        fill: impl FnOnce(&mut [u8], &mut EthernetProtocol) -> R,
    ) -> R {
        let size_bytes = (VNET_HEADER_BYTES + ETHERNET_BYTES + payload_bytes).min(MESSAGE_BYTES);
        let (header, frame) = self.outgoing[..size_bytes].split_at_mut(VNET_HEADER_BYTES);
        let result = fill(&mut frame[ETHERNET_BYTES..], &mut ethertype);
        let mut ethernet = EthernetFrame::new_unchecked(&mut *frame);
        ethernet.set_dst_addr(self.guest_mac);
        ethernet.set_src_addr(EthernetAddress(UserNet::GATEWAY_MAC));
        ethernet.set_ethertype(ethertype);
        // Nothing is lost between two processes of one machine: nobody computes TCP's checksum.
        header.copy_from_slice(&leave_checksum(frame));
        // Callers do not send while the link is blocked; if one did, the frame that waited would be the one lost.
        self.unsent_bytes = size_bytes;
        self.flush();
        result
    }

    /// Tries again to send the frame that waits.
    pub(super) fn flush(&mut self) {
        if self.unsent_bytes == 0 {
            return;
        }
        let message = &self.outgoing[..self.unsent_bytes];
        match send(&self.socket, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => self.unsent_bytes = 0,
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The kernel is short of memory: lost, as on any network.
            Err(Errno::NOBUFS | Errno::NOMEM | Errno::MSGSIZE) => self.unsent_bytes = 0,
            Err(_) => {
                self.unsent_bytes = 0;
                self.closed = true;
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The link as smoltcp's network device: `packet` is all that it will receive.
#[derive(Debug)]
pub(super) struct Port<'a> {
    pub(super) link: &'a mut Link,
    pub(super) packet: Option<&'a [u8]>,
}

impl Device for Port<'_> {
    type RxToken<'t>
        = RxToken<'t>
    where
        Self: 't;
    type TxToken<'t>
        = TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        let packet = self.packet.take()?;
        Some((RxToken(packet), TxToken(self.link)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        (!self.link.is_blocked()).then_some(TxToken(self.link))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(UserNet::MTU);
        // What the guest sends came through memory. What it gets, it checks, but for TCP's checksum: that one is left to whoever
        // takes the segment further.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::None;
        capabilities
    }
}

/// The packet being received.
#[derive(Debug)]
pub(super) struct RxToken<'a>(&'a [u8]);

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Permission to send one packet.
#[derive(Debug)]
pub(super) struct TxToken<'a>(&'a mut Link);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.send_ip(len, f)
    }
}

/// Largest UDP payload that fits a packet to `guest`.
pub(super) fn max_datagram_bytes(guest: IpAddr) -> usize {
    let headers = if guest.is_ipv4() { 20 + 8 } else { 40 + 8 };
    usize::from(UserNet::MTU) - headers
}
