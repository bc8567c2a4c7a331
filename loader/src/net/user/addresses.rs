//! Addresses of the little network between guest and helper.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hvcall::boot::{IP_STATIC, Ipv4Config, Ipv6Config, NicInfo, Offloads};

/// The network that every `user` NIC is on. Each guest has one of its own, so the addresses are the same everywhere.
#[derive(Debug, Clone, Copy)]
pub struct UserNet;

impl UserNet {
    /// The guest's MAC address.
    pub const GUEST_MAC: [u8; 6] = [0x02, 0x52, 0x57, 0x00, 0x00, 0x0f];
    /// The helper's MAC address; gateway and resolver share it.
    pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x52, 0x57, 0x00, 0x00, 0x02];

    /// The guest's IPv4 address.
    pub const GUEST_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
    /// The gateway's IPv4 address: where published connections come from, and this machine's loopback for `--allow`.
    pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
    /// The resolver's IPv4 address.
    pub const DNS_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
    /// Prefix length of the IPv4 network.
    pub const PREFIX_V4: u8 = 24;

    /// The guest's IPv6 address, in a unique local prefix (RFC 4193).
    pub const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0xfd52, 0x494e, 0x4757, 0, 0, 0, 0, 0x15);
    /// The gateway's IPv6 address.
    pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd52, 0x494e, 0x4757, 0, 0, 0, 0, 2);
    /// The resolver's IPv6 address.
    pub const DNS_V6: Ipv6Addr = Ipv6Addr::new(0xfd52, 0x494e, 0x4757, 0, 0, 0, 0, 3);
    /// Prefix length of the IPv6 network.
    pub const PREFIX_V6: u8 = 64;

    /// Largest IP packet in bytes. Packets never meet a wire, so they may be large: this carries 32 KiB of TCP over IPv4, half
    /// of a connection's window, so that one half can be filled while the other is emptied.
    pub const MTU: u16 = 32_808;

    /// What boot information says about the NIC when `--allow dns` was given. See [`super::Prepared::nic_info`].
    #[must_use]
    pub fn nic_info() -> NicInfo {
        NicInfo {
            mac: Self::GUEST_MAC,
            mtu: Self::MTU,
            offloads: Offloads::CHECKSUM.bits(),
            ipv4: Ipv4Config {
                address: Self::GUEST_V4.octets(),
                gateway: Self::GATEWAY_V4.octets(),
                dns: Self::DNS_V4.octets(),
                prefix: Self::PREFIX_V4,
                flags: IP_STATIC,
                reserved: [0; 2],
            },
            reserved: 0,
            ipv6: Ipv6Config {
                address: Self::GUEST_V6.octets(),
                gateway: Self::GATEWAY_V6.octets(),
                dns: Self::DNS_V6.octets(),
                prefix: Self::PREFIX_V6,
                flags: IP_STATIC,
                reserved: [0; 6],
            },
        }
    }
}

/// Whether the helper itself answers at `address`.
pub(super) fn is_ours(address: IpAddr) -> bool {
    is_gateway(address) || is_resolver(address)
}

/// Whether `address` is the gateway's.
pub(super) fn is_gateway(address: IpAddr) -> bool {
    address == UserNet::GATEWAY_V4 || address == UserNet::GATEWAY_V6
}

/// Whether `address` is the resolver's.
pub(super) fn is_resolver(address: IpAddr) -> bool {
    address == UserNet::DNS_V4 || address == UserNet::DNS_V6
}

/// Whether `address` is the guest's.
pub(super) fn is_guest(address: IpAddr) -> bool {
    address == UserNet::GUEST_V4 || address == UserNet::GUEST_V6
}

/// The guest's address of the same version as `peer`.
pub(super) fn guest_towards(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => IpAddr::V4(UserNet::GUEST_V4),
        IpAddr::V6(_) => IpAddr::V6(UserNet::GUEST_V6),
    }
}
