//! The stack: frames in, frames out, time in. No hypercalls, no globals: tests join two of these back to back.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use hvcall::NicInfo;
use smoltcp::iface::SocketSet;
use smoltcp::wire::{DHCP_CLIENT_PORT, EthernetFrame, EthernetProtocol, IpProtocol};

use super::addresses::is_host;
use super::frame::Outgoing;
use super::hash::Keyed;
use super::nic::Nic;
use super::packet::Packet;
use super::tcp::TcpState;
use super::udp::Ports;
use super::{Error, StaticConfig, Stats};
use crate::time::Instant;

/// The network of an appliance.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) nics: Vec<Nic>,
    pub(super) tcp: TcpState,
    pub(super) udp: Ports,
    pub(super) random: fn() -> u64,
    /// The time of the last call that brought one.
    pub(super) now: Instant,
    /// A set without sockets: answers pings, and refuses what nobody wants.
    control: SocketSet<'static>,
    /// Who waits for an address, and who for room in a transmit queue.
    configuring: Vec<Waker>,
    congested: Vec<Waker>,
}

impl Stack {
    /// A stack without NICs. `random` gives unpredictable numbers; all TCP connections together take at most `budget_bytes` of
    /// the heap.
    pub(super) fn new(random: fn() -> u64, budget_bytes: usize) -> Self {
        Self {
            nics: Vec::new(),
            tcp: TcpState::new(Keyed::new(random), budget_bytes),
            udp: Ports::new(),
            random,
            now: Instant::default(),
            control: SocketSet::new(Vec::new()),
            configuring: Vec::new(),
            congested: Vec::new(),
        }
    }

    /// Adds a NIC, whose index is the number of those before it.
    pub(super) fn add_nic(&mut self, info: &NicInfo, baked: Option<&StaticConfig>, now: Instant) {
        self.nics.push(Nic::new(info, baked, self.random, now));
    }

    /// Takes in a frame that arrived on a NIC, with its `hvcall::frame` flags. Sockets are looked at in [`Self::poll`], so
    /// that a burst is answered once.
    pub(super) fn receive(&mut self, nic: usize, frame: &[u8], flags: u16, now: Instant) {
        self.now = now;
        let Some(link) = self.nics.get_mut(nic).map(|nic| &mut nic.link) else { return };
        link.counters.received += 1;
        let taken = self.receive_frame(nic, frame, flags, now);
        if taken.is_none()
            && let Some(nic) = self.nics.get_mut(nic)
        {
            nic.link.counters.receive_dropped += 1;
        }
    }

    /// Runs what is due: timers, and the sockets that have something to do. Says whether there was anything.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        self.now = now;
        for index in 0..self.nics.len() {
            if self.nics.get_mut(index).is_some_and(|nic| nic.poll(now)) {
                self.wake_configuring();
            }
        }
        let worked = self.poll_tcp(now);
        if !self.congested.is_empty() && self.nics.iter().all(|nic| nic.link.has_room()) {
            self.congested.drain(..).for_each(Waker::wake);
            return true;
        }
        worked
    }

    /// When [`Self::poll`] has something to do, if nothing arrives before.
    pub(super) fn deadline(&self) -> Instant {
        // Sockets that are held back by a full transmit queue go on when it has room, and not before.
        if self.tcp.table.dirty_len() > 0 && self.nics.iter().any(|nic| nic.link.has_room()) {
            return Instant::default();
        }
        let nics = self.nics.iter().map(Nic::deadline);
        nics.fold(self.tcp.table.deadline(), Instant::min)
    }

    /// The next frame to send on a NIC.
    pub(super) fn pop_frame(&mut self, nic: usize) -> Option<Outgoing> {
        self.nics.get_mut(nic)?.link.pop()
    }

    /// Takes back the buffer of a frame that has left.
    pub(super) fn recycle(&mut self, nic: usize, frame: Outgoing) {
        if let Some(nic) = self.nics.get_mut(nic) {
            nic.link.recycle(frame);
        }
    }

    /// The NIC that reaches `destination`, and our address on it: a neighbour's before one with a router.
    pub(super) fn route(&self, destination: IpAddr) -> Result<(usize, IpAddr), Error> {
        let group = destination.is_multicast()
            || self.nics.iter().any(|nic| nic.link.addresses.is_broadcast(destination));
        let choices = || self.nics.iter().enumerate().map(|(index, nic)| (index, &nic.link.addresses));
        let own = choices().any(|(_, addresses)| addresses.owns(destination));
        if own || destination.is_loopback() || destination.is_unspecified() {
            return Err(Error::NoRoute);
        }
        let near = choices().find(|(_, addresses)| group || addresses.on_link(destination));
        let found =
            near.or_else(|| choices().find(|(_, addresses)| addresses.next_hop(destination).is_some()));
        let (index, addresses) = found.ok_or(Error::NoRoute)?;
        Ok((index, addresses.source_for(destination).ok_or(Error::NoRoute)?))
    }

    /// Waits for room in the transmit queues.
    pub(super) fn wait_for_room(&mut self, waker: &Waker) {
        add_waker(&mut self.congested, waker);
    }

    /// Whether every NIC has an address beyond its link. Wakes `waker` when that may have changed.
    pub(super) fn is_up(&mut self, waker: &Waker) -> bool {
        let up = self.nics.iter().all(|nic| nic.link.addresses.is_configured());
        if !up {
            add_waker(&mut self.configuring, waker);
        }
        up
    }

    /// Counts what there is.
    #[cold]
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats {
            connections: self.tcp.table.len(),
            handshakes: self.tcp.handshakes(),
            time_wait: self.tcp.table.time_wait_len(),
            udp_sockets: self.udp.len(),
            ..Stats::default()
        };
        for nic in &self.nics {
            stats.neighbors += nic.link.neighbors.len();
            stats.received_frames += nic.link.counters.received;
            stats.receive_dropped += nic.link.counters.receive_dropped;
            stats.sent_frames += nic.link.counters.sent;
            stats.send_dropped += nic.link.counters.send_dropped + nic.link.neighbors.dropped;
        }
        stats
    }

    fn wake_configuring(&mut self) {
        self.configuring.drain(..).for_each(Waker::wake);
    }

    /// `None` if the frame was dropped.
    fn receive_frame(&mut self, index: usize, frame: &[u8], flags: u16, now: Instant) -> Option<()> {
        let nic = self.nics.get_mut(index)?;
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let (from, to) = (ethernet.src_addr(), ethernet.dst_addr());
        let unicast = to == nic.link.mac;
        if !(unicast || to.is_multicast()) || !from.is_unicast() || from == nic.link.mac {
            return None;
        }
        match ethernet.ethertype() {
            EthernetProtocol::Arp => nic.link.receive_arp(ethernet.payload(), now),
            EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6 => {
                let packet = Packet::parse(ethernet.payload(), flags)?;
                let addresses = &nic.link.addresses;
                if unicast
                    && is_host(packet.source)
                    && addresses.on_link(packet.source)
                    && addresses.owns(packet.destination)
                    && !addresses.owns(packet.source)
                {
                    let waiting = nic.link.neighbors.observe(packet.source, from, now);
                    nic.link.release(waiting, from);
                }
                return self.receive_packet(index, &packet, now);
            }
            EthernetProtocol::Unknown(_) => return None,
        }
        Some(())
    }

    fn receive_packet(&mut self, index: usize, packet: &Packet<'_>, now: Instant) -> Option<()> {
        if let Some(done) = self.receive_configuration(index, packet, now) {
            return Some(done);
        }
        let nic = self.nics.get_mut(index)?;
        let addresses = &nic.link.addresses;
        // Who has no address yet may ask everybody for one.
        let newcomer = packet.source.is_unspecified()
            && packet.protocol == IpProtocol::Udp
            && addresses.is_broadcast(packet.destination);
        let host = is_host(packet.source) && !addresses.is_broadcast(packet.source);
        if !(host || newcomer) || addresses.owns(packet.source) {
            return None;
        }
        let ours = addresses.owns(packet.destination);
        let group = packet.destination.is_multicast() || addresses.is_broadcast(packet.destination);
        if packet.protocol == IpProtocol::Tcp {
            return if ours { self.receive_tcp(index, packet, now) } else { None };
        }
        if packet.protocol == IpProtocol::Udp {
            return if ours || group { self.receive_udp(index, packet, ours, now) } else { None };
        }
        // Pings to a group are answered over IPv6 only: over IPv4 they are known for amplifying attacks.
        if ours || (group && packet.protocol == IpProtocol::Icmpv6) {
            self.refuse(index, packet, now);
            return Some(());
        }
        None
    }

    fn receive_udp(&mut self, index: usize, packet: &Packet<'_>, ours: bool, now: Instant) -> Option<()> {
        let datagram = packet.udp()?;
        let from = SocketAddr::new(packet.source, datagram.src_port());
        let taken = self.udp.receive(datagram.dst_port(), from, packet.destination, datagram.payload());
        if !taken && ours {
            self.refuse(index, packet, now);
        }
        taken.then_some(())
    }

    /// Lets smoltcp answer what no socket wants: pings with an echo, the rest with a refusal.
    #[cold]
    pub(super) fn refuse(&mut self, index: usize, packet: &Packet<'_>, now: Instant) {
        if let Some(nic) = self.nics.get_mut(index) {
            nic.ingress(packet.bytes, &mut self.control, now);
        }
    }

    /// DHCP and NDP come before we have addresses, and decide which. `None` for anything else.
    fn receive_configuration(&mut self, index: usize, packet: &Packet<'_>, now: Instant) -> Option<()> {
        let nic = self.nics.get_mut(index)?;
        let changed = if packet.protocol == IpProtocol::Icmpv6 {
            nic.receive_ndp(packet.bytes, now)?
        } else if packet.protocol == IpProtocol::Udp && packet.source.is_ipv4() {
            let datagram = packet.udp().filter(|datagram| datagram.dst_port() == DHCP_CLIENT_PORT)?;
            nic.receive_dhcp(datagram.payload(), now)?
        } else {
            return None;
        };
        if changed {
            self.wake_configuring();
        }
        Some(())
    }
}

/// Adds a waker, unless one for the same task is there already.
pub(super) fn add_waker(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|other| other.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
