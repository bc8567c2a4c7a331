//! Addresses that somebody chose beforehand: the host in boot information, or the appliance.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hvcall::NicInfo;
use hvcall::boot::IP_STATIC;
use smoltcp::wire::{Ipv4Cidr, Ipv6Cidr};

use super::addresses::{Addresses, is_host};
use super::{StaticIpv4, StaticIpv6};

pub(super) fn host_ipv4(info: &NicInfo) -> Option<StaticIpv4> {
    let config = &info.ipv4;
    (config.flags & IP_STATIC != 0).then(|| StaticIpv4 {
        address: Ipv4Addr::from(config.address),
        prefix: config.prefix,
        gateway: Some(Ipv4Addr::from(config.gateway)).filter(|address| !address.is_unspecified()),
        resolver: Some(Ipv4Addr::from(config.dns)).filter(|address| !address.is_unspecified()),
    })
}

pub(super) fn host_ipv6(info: &NicInfo) -> Option<StaticIpv6> {
    let config = &info.ipv6;
    (config.flags & IP_STATIC != 0).then(|| StaticIpv6 {
        address: Ipv6Addr::from(config.address),
        prefix: config.prefix,
        gateway: Some(Ipv6Addr::from(config.gateway)).filter(|address| !address.is_unspecified()),
        resolver: Some(Ipv6Addr::from(config.dns)).filter(|address| !address.is_unspecified()),
    })
}

/// smoltcp panics on addresses that are not a host's and on prefixes that are too long: such a configuration is left out.
pub(super) fn apply_ipv4(addresses: &mut Addresses, config: &StaticIpv4) {
    if !is_host(IpAddr::V4(config.address)) || config.prefix > 32 {
        return log::error!("net: {}/{} cannot be an own address", config.address, config.prefix);
    }
    addresses.ipv4 = Some(Ipv4Cidr::new(config.address, config.prefix));
    addresses.gateway4 = config.gateway;
    let _full = config.resolver.map(|resolver| addresses.resolvers.push(IpAddr::V4(resolver)));
}

pub(super) fn apply_ipv6(addresses: &mut Addresses, config: &StaticIpv6) {
    if !is_host(IpAddr::V6(config.address)) || config.prefix > 128 {
        return log::error!("net: {}/{} cannot be an own address", config.address, config.prefix);
    }
    addresses.ipv6 = Some(Ipv6Cidr::new(config.address, config.prefix));
    addresses.gateway6 = config.gateway;
    let _full = config.resolver.map(|resolver| addresses.resolvers.push(IpAddr::V6(resolver)));
}
