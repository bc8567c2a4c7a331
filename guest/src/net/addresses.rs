//! The addresses of a NIC, and where a packet goes next.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// Most resolvers remembered.
pub(super) const MAX_RESOLVERS: usize = 4;

/// What a NIC is called on its link, and who forwards for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ipv4: Option<Ipv4Cidr>,
    pub(super) gateway4: Option<Ipv4Addr>,
    /// From the MAC, as RFC 4291, appendix A, says. Always there.
    pub(super) link_local: Ipv6Addr,
    pub(super) ipv6: Option<Ipv6Cidr>,
    pub(super) gateway6: Option<Ipv6Addr>,
    pub(super) resolvers: heapless::Vec<IpAddr, MAX_RESOLVERS>,
}

impl Addresses {
    pub(super) fn new(mac: EthernetAddress) -> Self {
        Self {
            ipv4: None,
            gateway4: None,
            link_local: with_interface_id(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), mac),
            ipv6: None,
            gateway6: None,
            resolvers: heapless::Vec::new(),
        }
    }

    /// Whether packets to `address` are for us alone.
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.is_some_and(|own| own.address() == address),
            IpAddr::V6(address) => {
                address == self.link_local || self.ipv6.is_some_and(|own| own.address() == address)
            }
        }
    }

    /// Whether `address` is the broadcast address of our network, or of any.
    pub(super) fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        address.is_broadcast() || self.ipv4.and_then(|own| own.broadcast()) == Some(address)
    }

    /// Whether `address` is reached without a router.
    pub(super) fn on_link(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.is_some_and(|own| own.contains_addr(&address)),
            IpAddr::V6(address) => {
                is_link_local(address) || self.ipv6.is_some_and(|own| own.contains_addr(&address))
            }
        }
    }

    /// Who on the link takes a packet for `destination`, or `None` if there is no way.
    pub(super) fn next_hop(&self, destination: IpAddr) -> Option<IpAddr> {
        if self.on_link(destination) {
            return Some(destination);
        }
        match destination {
            IpAddr::V4(_) => self.gateway4.map(IpAddr::V4),
            IpAddr::V6(_) => self.gateway6.map(IpAddr::V6),
        }
    }

    /// The address of ours that `destination` should see, or `None` if there is no way to it.
    pub(super) fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(_) => self.ipv4.map(|own| IpAddr::V4(own.address())),
            IpAddr::V6(address) if is_link_local(address) || address.is_multicast() => {
                Some(IpAddr::V6(self.link_local))
            }
            IpAddr::V6(_) => self.ipv6.map(|own| IpAddr::V6(own.address())),
        }
    }

    /// Whether there is an address that others beyond the link can answer to.
    pub(super) fn is_configured(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some()
    }

    /// All own addresses with their prefixes.
    pub(super) fn cidrs(&self) -> heapless::Vec<IpCidr, 3> {
        let link_local = IpCidr::new(IpAddress::Ipv6(self.link_local), 64);
        let others = self.ipv4.map(IpCidr::Ipv4).into_iter().chain(self.ipv6.map(IpCidr::Ipv6));
        others.chain([link_local]).collect()
    }
}

/// Whether the address is in fe80::/10.
pub(super) fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// `prefix`, of 64 bits, completed by the interface identifier that belongs to `mac` (modified EUI-64).
pub(super) fn with_interface_id(prefix: Ipv6Addr, mac: EthernetAddress) -> Ipv6Addr {
    let [first, second, third, fourth, fifth, sixth] = mac.0;
    let mut octets = prefix.octets();
    octets[8..].copy_from_slice(&[first ^ 2, second, third, 0xff, 0xfe, fourth, fifth, sixth]);
    Ipv6Addr::from(octets)
}

/// The multicast group in which a neighbour listens for questions about `address` (RFC 4291, section 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// Whether an address may stand as a source on the wire: one host, and not ourselves by another name.
pub(super) fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_follows_from_the_mac() {
        let addresses = Addresses::new(EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        assert_eq!(addresses.link_local, "fe80::5054:ff:fe12:3456".parse::<Ipv6Addr>().unwrap());
        assert_eq!(solicited_node(addresses.link_local), "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn next_hop_is_the_neighbour_or_the_router() {
        let mut addresses = Addresses::new(EthernetAddress([2, 0, 0, 0, 0, 1]));
        addresses.ipv4 = Some(Ipv4Cidr::new(Ipv4Addr::new(10, 0, 0, 2), 24));
        let near = IpAddr::from([10, 0, 0, 9]);
        let far = IpAddr::from([8, 8, 8, 8]);
        assert_eq!(addresses.next_hop(near), Some(near));
        assert_eq!(addresses.next_hop(far), None);
        addresses.gateway4 = Some(Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(addresses.next_hop(far), Some(IpAddr::from([10, 0, 0, 1])));
        assert!(addresses.is_broadcast(IpAddr::from([10, 0, 0, 255])));
    }
}
