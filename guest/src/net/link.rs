//! A NIC's link: Ethernet framing, the transmit queue, and address resolution.
//!
//! Packets come from smoltcp or from our own UDP without an Ethernet header. Here they get one: the destination decides the
//! next hop, the neighbour table its MAC, and what cannot leave yet waits there. ARP is in `arp`, NDP in `ndp`.

use alloc::collections::VecDeque;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hvcall::boot::Offloads;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

use super::addresses::Addresses;
use super::coalesce;
use super::frame::{Outgoing, Pool};
use super::neighbor::{Neighbors, Question, Resolution};
use super::offload;
use crate::time::Instant;

/// Frames the queue takes before sockets are held back: what one `net_send` carries.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
const SOFT_LIMIT: usize = hvcall::MAX_ENTRIES as usize;
/// Frames the queue takes at all. The difference is for answers that cannot be held back, and they are lost beyond it.
const HARD_LIMIT: usize = 4 * SOFT_LIMIT;

/// Enough of a packet to tell a TCP segment from the next: addresses, ports, numbers, and a checksum over the rest.
const HEAD_BYTES: usize = 60;

/// Counters of one NIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) received: u64,
    pub(super) receive_dropped: u64,
    pub(super) sent: u64,
    pub(super) send_dropped: u64,
}

/// The link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) mac: EthernetAddress,
    /// Largest IP packet.
    pub(super) mtu: usize,
    /// What the host does for us.
    pub(super) offloads: Offloads,
    pub(super) addresses: Addresses,
    pub(super) neighbors: Neighbors,
    pub(super) counters: Counters,
    pool: Pool,
    queue: VecDeque<Outgoing>,
    /// How the last packet began, and whether it began like the one before.
    last_head: [u8; HEAD_BYTES],
    pub(super) repeats: bool,
}

impl Link {
    pub(super) fn new(mac: EthernetAddress, mtu: usize, offloads: Offloads) -> Self {
        Self {
            mac,
            mtu,
            offloads,
            addresses: Addresses::new(mac),
            neighbors: Neighbors::new(),
            counters: Counters::default(),
            pool: Pool::new(mtu),
            queue: VecDeque::new(),
            last_head: [0; HEAD_BYTES],
            repeats: false,
        }
    }

    /// Whether sockets may put another packet in.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < SOFT_LIMIT
    }

    /// The next frame to send, in order.
    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.queue.pop_front()
    }

    /// Takes back the buffer of a frame that has left.
    pub(super) fn recycle(&mut self, frame: Outgoing) {
        self.pool.give(frame);
    }

    /// Sends the IP packet of `size_bytes` bytes that `fill` writes, with its checksums.
    pub(super) fn send_packet<R>(
        &mut self,
        size_bytes: usize,
        now: Instant,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let (frame, result) = self.make(size_bytes, fill);
        self.send(frame, now);
        result
    }

    /// [`Self::send_packet`] for what smoltcp sends: without the checksum of TCP where the host adds it, and longer than the
    /// MTU if the host is to cut it into pieces of `piece_bytes`.
    pub(super) fn send_segment<R>(
        &mut self,
        size_bytes: usize,
        piece_bytes: Option<u16>,
        now: Instant,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let (mut frame, result) = self.make(size_bytes, fill);
        if self.offloads.contains(Offloads::CHECKSUM) {
            offload::leave_checksum(&mut frame, piece_bytes);
        }
        self.send(frame, now);
        result
    }

    fn make<R>(&mut self, size_bytes: usize, fill: impl FnOnce(&mut [u8]) -> R) -> (Outgoing, R) {
        let mut frame = self.pool.take(size_bytes);
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame.bytes);
        let result = fill(ethernet.payload_mut());
        (frame, result)
    }

    fn send(&mut self, mut frame: Outgoing, now: Instant) {
        self.note_head(frame.packet());
        let protocol = match destination(frame.packet()) {
            Some(IpAddr::V4(_)) => EthernetProtocol::Ipv4,
            _ => EthernetProtocol::Ipv6,
        };
        EthernetFrame::new_unchecked(&mut frame.bytes).set_ethertype(protocol);
        match destination(frame.packet()) {
            Some(to) => self.route(frame, to, now),
            None => self.drop_outgoing(frame),
        }
    }

    /// Sends a frame of `protocol` with the `size_bytes` bytes that `fill` writes to `to`.
    pub(super) fn send_raw(
        &mut self,
        protocol: EthernetProtocol,
        to: EthernetAddress,
        size_bytes: usize,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let mut frame = self.pool.take(size_bytes);
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame.bytes);
        ethernet.set_ethertype(protocol);
        fill(ethernet.payload_mut());
        self.enqueue(frame, to);
    }

    /// Sends the packets that waited for `to`.
    pub(super) fn release(&mut self, waiting: impl IntoIterator<Item = Outgoing>, to: EthernetAddress) {
        for frame in waiting {
            self.enqueue(frame, to);
        }
    }

    /// Asks the questions that are due.
    pub(super) fn poll_neighbors(&mut self, now: Instant) {
        for question in self.neighbors.due(now) {
            self.ask(question);
        }
    }

    /// Puts a question on the link.
    #[cold]
    fn ask(&mut self, question: Question) {
        match question.target {
            IpAddr::V4(target) => self.ask_arp(target, question.to),
            IpAddr::V6(target) => self.ask_ndp(target, question.to),
        }
    }

    fn route(&mut self, frame: Outgoing, to: IpAddr, now: Instant) {
        if let Some(mac) = group_mac(to, &self.addresses) {
            return self.enqueue(frame, mac);
        }
        // A packet to ourselves would have to come back in: nothing here does that.
        let Some(hop) = self.addresses.next_hop(to).filter(|_| !self.addresses.owns(to)) else {
            return self.drop_outgoing(frame);
        };
        let question = match self.neighbors.resolve(hop, frame, now) {
            Resolution::Known(frame, mac, question) => {
                self.enqueue(frame, mac);
                question
            }
            Resolution::Waiting(question) => question,
        };
        if let Some(question) = question {
            self.ask(question);
        }
    }

    fn note_head(&mut self, packet: &[u8]) {
        let head = packet.get(..HEAD_BYTES).unwrap_or(packet);
        let mut padded = [0; HEAD_BYTES];
        padded[..head.len()].copy_from_slice(head);
        self.repeats = padded == self.last_head;
        self.last_head = padded;
    }

    fn enqueue(&mut self, mut frame: Outgoing, to: EthernetAddress) {
        if self.queue.len() >= HARD_LIMIT {
            return self.drop_outgoing(frame);
        }
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame.bytes);
        ethernet.set_dst_addr(to);
        ethernet.set_src_addr(self.mac);
        self.counters.sent += 1;
        if self.offloads.contains(Offloads::SEGMENTATION)
            && let Some(last) = self.queue.back_mut()
            && let Some(piece_bytes) = coalesce::piece_bytes(last, &frame)
        {
            self.pool.enlarge(last);
            coalesce::append(last, &frame, piece_bytes);
            return self.pool.give(frame);
        }
        self.queue.push_back(frame);
    }

    fn drop_outgoing(&mut self, frame: Outgoing) {
        self.counters.send_dropped += 1;
        self.pool.give(frame);
    }
}

/// Destination address of an IP packet that we wrote.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => packet.get(16..20)?.first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets))),
        6 => packet.get(24..40)?.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))),
        _ => None,
    }
}

/// The MAC of a group or broadcast address, or `None` for a single host.
fn group_mac(to: IpAddr, addresses: &Addresses) -> Option<EthernetAddress> {
    if addresses.is_broadcast(to) {
        return Some(EthernetAddress::BROADCAST);
    }
    match to {
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, b, c, d] = group.octets();
            Some(EthernetAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
        }
        IpAddr::V6(group) if group.is_multicast() => {
            let [.., a, b, c, d] = group.octets();
            Some(EthernetAddress([0x33, 0x33, a, b, c, d]))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}
