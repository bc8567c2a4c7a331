//! IPv6 without a server: routers, prefixes and resolvers from router advertisements (RFC 4861, 4862, 8106).

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use smoltcp::wire::{
    EthernetAddress, Icmpv6Packet, Ipv6Cidr, Ipv6Packet, NdiscOption, NdiscOptionType, NdiscPrefixInfoFlags,
    NdiscRepr,
};

use super::addresses::{Addresses, MAX_RESOLVERS, is_host, is_link_local, with_interface_id};
use crate::time::Instant;

/// RFC 4861, section 10: solicitations, and the time between them.
const MAX_SOLICITATIONS: u8 = 3;
const SOLICITATION_PAUSE: Duration = Duration::from_secs(4);
/// Recursive DNS Server option (RFC 8106, section 5.1).
const RDNSS_OPTION: u8 = 25;
/// A forged advertisement must not take an address away at once (RFC 4862, section 5.5.3, e).
const MIN_LIFETIME: Duration = Duration::from_secs(7_200);
/// The only prefix length that an interface identifier of 64 bits completes.
const PREFIX_BITS: u8 = 64;

/// What routers told one NIC.
#[derive(Debug)]
pub(super) struct RouterDiscovery {
    solicitations: u8,
    solicit_at: Instant,
    router_until: Instant,
    address_until: Instant,
}

impl RouterDiscovery {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            solicitations: 0,
            solicit_at: now,
            router_until: Instant::FAR_FUTURE,
            address_until: Instant::FAR_FUTURE,
        }
    }

    /// When [`Self::poll`] has something to do.
    pub(super) fn deadline(&self) -> Instant {
        self.solicit_at.min(self.router_until).min(self.address_until)
    }

    /// Drops what ran out, and says whether to solicit now and whether an address changed.
    pub(super) fn poll(&mut self, addresses: &mut Addresses, now: Instant) -> (bool, bool) {
        if now >= self.router_until {
            addresses.gateway6 = None;
            self.router_until = Instant::FAR_FUTURE;
        }
        let expired = now >= self.address_until;
        if expired {
            addresses.ipv6 = None;
            self.address_until = Instant::FAR_FUTURE;
        }
        let solicit = now >= self.solicit_at;
        if solicit {
            self.solicitations += 1;
            let more = self.solicitations < MAX_SOLICITATIONS;
            self.solicit_at = if more { now.saturating_add(SOLICITATION_PAUSE) } else { Instant::FAR_FUTURE };
        }
        (solicit, expired)
    }

    /// Takes in an advertisement that `router` sent as `packet`, and says whether an address changed.
    pub(super) fn receive(
        &mut self,
        message: &NdiscRepr<'_>,
        router: Ipv6Addr,
        packet: &[u8],
        mac: EthernetAddress,
        addresses: &mut Addresses,
        now: Instant,
    ) -> bool {
        let NdiscRepr::RouterAdvert { router_lifetime, prefix_info, .. } = message else { return false };
        if !is_link_local(router) {
            return false;
        }
        self.solicit_at = Instant::FAR_FUTURE;
        let lifetime = Duration::from_secs(router_lifetime.secs());
        if !lifetime.is_zero() {
            addresses.gateway6 = Some(router);
            self.router_until = now.saturating_add(lifetime);
        } else if addresses.gateway6 == Some(router) {
            addresses.gateway6 = None;
            self.router_until = Instant::FAR_FUTURE;
        }
        for resolver in resolvers(packet) {
            if !addresses.resolvers.contains(&resolver) {
                // A full list keeps what it has: those resolvers work just as well.
                let _full = addresses.resolvers.push(resolver);
            }
        }
        let Some(prefix) = prefix_info else { return false };
        let usable = prefix.flags.contains(NdiscPrefixInfoFlags::ADDRCONF)
            && prefix.prefix_len == PREFIX_BITS
            && !is_link_local(prefix.prefix)
            && is_host(IpAddr::V6(prefix.prefix));
        if !usable {
            return false;
        }
        let address = Ipv6Cidr::new(with_interface_id(prefix.prefix, mac), PREFIX_BITS);
        let lifetime = Duration::from_secs(prefix.valid_lifetime.secs());
        match addresses.ipv6 {
            // One address is enough: the first prefix stays until it runs out.
            Some(own) if own != address => false,
            Some(_) => {
                let end = now.saturating_add(lifetime);
                let floor = now.saturating_add(MIN_LIFETIME).min(self.address_until);
                self.address_until = end.max(floor);
                false
            }
            None if lifetime.is_zero() => false,
            None => {
                addresses.ipv6 = Some(address);
                self.address_until = now.saturating_add(lifetime);
                true
            }
        }
    }
}

/// The resolvers that an advertisement names. smoltcp does not know that option, only how to walk options.
fn resolvers(packet: &[u8]) -> heapless::Vec<IpAddr, MAX_RESOLVERS> {
    let mut found = heapless::Vec::new();
    let Ok(ip) = Ipv6Packet::new_checked(packet) else { return found };
    let Ok(icmp) = Icmpv6Packet::new_checked(ip.payload()) else { return found };
    let mut options = icmp.payload();
    while let Ok(option) = NdiscOption::new_checked(options) {
        let size_bytes = usize::from(option.data_len()) * 8;
        if option.option_type() == NdiscOptionType::Unknown(RDNSS_OPTION) {
            // Type, length, reserved, lifetime: 8 bytes; then addresses.
            let addresses = options.get(8..size_bytes).unwrap_or_default();
            for octets in addresses.chunks_exact(16).filter_map(|chunk| chunk.first_chunk::<16>()) {
                let address = IpAddr::V6(Ipv6Addr::from(*octets));
                if is_host(address) && found.push(address).is_err() {
                    return found;
                }
            }
        }
        options = options.get(size_bytes..).unwrap_or_default();
    }
    found
}
