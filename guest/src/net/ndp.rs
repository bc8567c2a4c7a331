//! NDP: finding IPv6 neighbours, answering for ourselves, asking for routers (RFC 4861).

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, IPV6_HEADER_LEN, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscRepr, RawHardwareAddress,
};

use super::addresses::{is_host, solicited_node};
use super::link::Link;
use crate::time::Instant;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// NDP packets with any other hop limit crossed a router and are forgeries (RFC 4861, section 11.2).
const HOP_LIMIT: u8 = 255;

/// Whether an ICMPv6 packet is of one of the five NDP types, 133 to 137.
pub(super) fn is_ndp(packet: &[u8]) -> bool {
    packet.get(IPV6_HEADER_LEN).is_some_and(|kind| (133..=137).contains(kind))
}

/// The NDP message in an IPv6 packet, if it holds a valid one. Gives the message and the packet's source.
pub(super) fn parse(packet: &[u8]) -> Option<(NdiscRepr<'_>, Ipv6Addr)> {
    let ip = Ipv6Packet::new_checked(packet).ok()?;
    if ip.next_header() != IpProtocol::Icmpv6 || ip.hop_limit() != HOP_LIMIT {
        return None;
    }
    let icmp = Icmpv6Packet::new_checked(ip.payload()).ok()?;
    let message = NdiscRepr::parse(&icmp).ok()?;
    icmp.verify_checksum(&ip.src_addr(), &ip.dst_addr()).then_some((message, ip.src_addr()))
}

impl Link {
    /// Takes in a question or an answer about a neighbour.
    pub(super) fn receive_ndp(&mut self, message: &NdiscRepr<'_>, source: Ipv6Addr, now: Instant) {
        match *message {
            NdiscRepr::NeighborSolicit { target_addr, lladdr } => {
                if let Some(mac) = lladdr.and_then(unicast)
                    && self.is_neighbor(source)
                {
                    let waiting = self.neighbors.confirm(IpAddr::V6(source), mac, now);
                    self.release(waiting, mac);
                }
                if self.addresses.owns(IpAddr::V6(target_addr)) {
                    self.advertise(target_addr, source, now);
                }
            }
            NdiscRepr::NeighborAdvert { flags, target_addr, lladdr } => {
                let Some(mac) = lladdr.and_then(unicast).filter(|_| self.is_neighbor(target_addr)) else {
                    return;
                };
                let target = IpAddr::V6(target_addr);
                let waiting = if flags.contains(NdiscNeighborFlags::OVERRIDE) {
                    self.neighbors.announce(target, mac, now)
                } else {
                    self.neighbors.observe(target, mac, now)
                };
                self.release(waiting, mac);
            }
            NdiscRepr::RouterSolicit { .. } | NdiscRepr::RouterAdvert { .. } | NdiscRepr::Redirect { .. } => {
            }
        }
    }

    /// Asks who has `target`: `to`, if it had it last, or the group in which it must listen.
    pub(super) fn ask_ndp(&mut self, target: Ipv6Addr, to: Option<EthernetAddress>) {
        let group = solicited_node(target);
        let source = self.addresses.source_for(IpAddr::V6(target));
        let Some(IpAddr::V6(source)) = source else { return };
        let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr: Some(self.mac.into()) };
        let destination = if to.is_some() { target } else { group };
        self.send_ndp(message, source, destination, to.unwrap_or_else(|| group_mac(group)));
    }

    /// Asks routers to introduce themselves.
    pub(super) fn ask_routers(&mut self) {
        let message = NdiscRepr::RouterSolicit { lladdr: Some(self.mac.into()) };
        self.send_ndp(message, self.addresses.link_local, ALL_ROUTERS, group_mac(ALL_ROUTERS));
    }

    /// Learns a router's MAC from its advertisement.
    pub(super) fn learn_router(
        &mut self,
        router: Ipv6Addr,
        lladdr: Option<RawHardwareAddress>,
        now: Instant,
    ) {
        if let Some(mac) = lladdr.and_then(unicast) {
            let waiting = self.neighbors.confirm(IpAddr::V6(router), mac, now);
            self.release(waiting, mac);
        }
    }

    /// Answers for `own`. Who asks from the unspecified address is checking for duplicates: everybody gets the answer.
    fn advertise(&mut self, own: Ipv6Addr, asker: Ipv6Addr, now: Instant) {
        let anonymous = asker.is_unspecified();
        let flags = if anonymous {
            NdiscNeighborFlags::OVERRIDE
        } else {
            NdiscNeighborFlags::OVERRIDE | NdiscNeighborFlags::SOLICITED
        };
        let message = NdiscRepr::NeighborAdvert { flags, target_addr: own, lladdr: Some(self.mac.into()) };
        if anonymous {
            self.send_ndp(message, own, ALL_NODES, group_mac(ALL_NODES));
        } else if self.is_neighbor(asker) {
            let ip = header(&message, own, asker);
            self.send_packet(ip.buffer_len() + ip.payload_len, now, |out| emit(&ip, &message, out));
        }
    }

    fn is_neighbor(&self, address: Ipv6Addr) -> bool {
        let address = IpAddr::V6(address);
        is_host(address) && self.addresses.on_link(address) && !self.addresses.owns(address)
    }

    fn send_ndp(&mut self, message: NdiscRepr<'_>, from: Ipv6Addr, to: Ipv6Addr, mac: EthernetAddress) {
        let ip = header(&message, from, to);
        self.send_raw(EthernetProtocol::Ipv6, mac, ip.buffer_len() + ip.payload_len, |out| {
            emit(&ip, &message, out);
        });
    }
}

fn header(message: &NdiscRepr<'_>, from: Ipv6Addr, to: Ipv6Addr) -> Ipv6Repr {
    Ipv6Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: HOP_LIMIT,
    }
}

fn emit(ip: &Ipv6Repr, message: &NdiscRepr<'_>, out: &mut [u8]) {
    let mut packet = Ipv6Packet::new_unchecked(out);
    ip.emit(&mut packet);
    let mut icmp = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&mut icmp);
    icmp.fill_checksum(&ip.src_addr, &ip.dst_addr);
}

fn group_mac(group: Ipv6Addr) -> EthernetAddress {
    let [.., a, b, c, d] = group.octets();
    EthernetAddress([0x33, 0x33, a, b, c, d])
}

/// The option's MAC, if it is that of one NIC.
fn unicast(option: RawHardwareAddress) -> Option<EthernetAddress> {
    let mac = EthernetAddress(*option.as_bytes().first_chunk::<6>()?);
    mac.is_unicast().then_some(mac)
}
