//! ARP: finding IPv4 neighbours and answering for ourselves (RFC 826).

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol};

use super::addresses::is_host;
use super::link::Link;
use crate::time::Instant;

impl Link {
    /// Takes in an ARP packet.
    #[cold]
    pub(super) fn receive_arp(&mut self, payload: &[u8], now: Instant) {
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: source,
            target_protocol_addr: target,
            ..
        }) = ArpPacket::new_checked(payload).and_then(|packet| ArpRepr::parse(&packet))
        else {
            return;
        };
        // A probe (RFC 5227) has no source address yet, but wants to hear from us if the target is ours.
        let probe = source.is_unspecified();
        let ours = self.addresses.owns(IpAddr::V4(target));
        if !mac.is_unicast() || self.addresses.owns(IpAddr::V4(source)) {
            return;
        }
        if !probe && is_host(IpAddr::V4(source)) && self.addresses.on_link(IpAddr::V4(source)) {
            let waiting = if ours {
                self.neighbors.confirm(IpAddr::V4(source), mac, now)
            } else {
                self.neighbors.announce(IpAddr::V4(source), mac, now)
            };
            self.release(waiting, mac);
        }
        if ours && operation == ArpOperation::Request {
            self.send_arp(ArpOperation::Reply, target, mac, source, mac);
        }
    }

    /// Asks who has `target`: `to`, if it had it last, or everybody.
    pub(super) fn ask_arp(&mut self, target: Ipv4Addr, to: Option<EthernetAddress>) {
        let source = self.addresses.ipv4.map_or(Ipv4Addr::UNSPECIFIED, |own| own.address());
        let to = to.unwrap_or(EthernetAddress::BROADCAST);
        self.send_arp(ArpOperation::Request, source, EthernetAddress([0; 6]), target, to);
    }

    /// Tells the link about our address, so that neighbours forget who had it before.
    pub(super) fn announce_arp(&mut self) {
        if let Some(own) = self.addresses.ipv4 {
            let own = own.address();
            self.send_arp(
                ArpOperation::Request,
                own,
                EthernetAddress([0; 6]),
                own,
                EthernetAddress::BROADCAST,
            );
        }
    }

    fn send_arp(
        &mut self,
        operation: ArpOperation,
        source: Ipv4Addr,
        target_mac: EthernetAddress,
        target: Ipv4Addr,
        to: EthernetAddress,
    ) {
        let message = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.mac,
            source_protocol_addr: source,
            target_hardware_addr: target_mac,
            target_protocol_addr: target,
        };
        self.send_raw(EthernetProtocol::Arp, to, message.buffer_len(), |payload| {
            message.emit(&mut ArpPacket::new_unchecked(payload));
        });
    }
}
