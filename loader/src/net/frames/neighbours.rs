//! ARP and NDP: a guest may answer for itself, and ask for those that it may talk to.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Reason;
use super::decode::{Arp, Decoded, Ip, Ndp};
use super::policy::{BROADCAST_MAC, FramePolicy, is_unicast};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

impl FramePolicy {
    pub(super) fn arp_from_guest(&self, arp: &Arp, to: [u8; 6]) -> Result<(), Reason> {
        let own = self.own_v4().map(|own| own.addr());
        // A probe for its own address, before it uses it, has no sender yet (RFC 5227).
        let is_own_sender =
            Some(arp.sender) == own || (arp.is_request && arp.sender == Ipv4Addr::UNSPECIFIED);
        if arp.sender_mac != self.mac || !is_own_sender {
            return Err(Reason::Neighbour);
        }
        let allowed = if arp.is_request {
            let is_own = Some(arp.target) == own;
            (is_unicast(to) || to == BROADCAST_MAC) && (is_own || self.may_ask(arp.target.into()))
        } else {
            is_unicast(to)
        };
        if allowed { Ok(()) } else { Err(Reason::Neighbour) }
    }

    pub(super) fn arp_to_guest(&self, arp: &Arp, frame: &Decoded<'_>) -> Result<(), Reason> {
        let Some(own) = self.own_v4().map(|own| own.addr()) else { return Err(Reason::Neighbour) };
        let is_honest = arp.sender_mac == frame.from && arp.sender_mac != self.mac && arp.sender != own;
        let to_guest = frame.to == self.mac || (arp.is_request && frame.to == BROADCAST_MAC);
        let is_asked_for = arp.is_request || self.may_ask(arp.sender.into());
        if is_honest && to_guest && arp.target == own && is_asked_for {
            Ok(())
        } else {
            Err(Reason::Neighbour)
        }
    }

    pub(super) fn ndp_from_guest(&self, ip: &Ip<'_>, ndp: &Ndp, to: [u8; 6]) -> Result<(), Reason> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (ip.source, ip.destination) else {
            return Err(Reason::Neighbour);
        };
        if self.ipv6.is_none() || ndp.mac.is_some_and(|mac| mac != self.mac) {
            return Err(Reason::Neighbour);
        }
        let own = |address| self.is_own_v6(address);
        let allowed = if ndp.is_question {
            // Before it uses its own address, it asks whether anybody else has it, from none (RFC 4862, section 5.4.2).
            let is_search = source.is_unspecified() && ndp.mac.is_none() && own(ndp.target);
            let is_to_target = destination == ndp.target || destination == solicited_node(ndp.target);
            let may_ask = is_search || (own(source) && (own(ndp.target) || self.may_ask(ndp.target.into())));
            is_to_target && may_ask
        } else {
            own(source) && own(ndp.target) && (destination == ALL_NODES || !destination.is_multicast())
        };
        let mac_fits = if destination.is_multicast() { to == group_mac(destination) } else { is_unicast(to) };
        if allowed && mac_fits { Ok(()) } else { Err(Reason::Neighbour) }
    }

    pub(super) fn ndp_to_guest(&self, ip: &Ip<'_>, ndp: &Ndp, to: [u8; 6]) -> Result<(), Reason> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (ip.source, ip.destination) else {
            return Err(Reason::Neighbour);
        };
        if self.ipv6.is_none() || self.is_own_v6(source) {
            return Err(Reason::Neighbour);
        }
        let is_about =
            if ndp.is_question { self.is_own_v6(ndp.target) } else { self.may_ask(ndp.target.into()) };
        let to_guest = self.is_own_v6(destination) && to == self.mac;
        let to_group =
            ndp.is_question && destination == solicited_node(ndp.target) && to == group_mac(destination);
        if is_about && (to_guest || to_group) { Ok(()) } else { Err(Reason::Neighbour) }
    }

    fn is_own_v6(&self, address: Ipv6Addr) -> bool {
        self.ipv6 == Some(address) || self.link_local == address
    }
}

/// The group in which the owner of an address listens (RFC 4291, section 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// The MAC address of a group (RFC 2464, section 7).
pub(super) fn group_mac(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}
