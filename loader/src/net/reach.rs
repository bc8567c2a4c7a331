//! Which addresses and ports a rule opens.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io;
use std::net::ToSocketAddrs;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::rules::{Destination, Ports};

/// A rule with its name resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) net: IpNet,
    pub(super) ports: Ports,
}

/// A name in a rule that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve `{name}` of --allow: {source}; write an address, or leave the rule out")]
pub struct ResolveError {
    /// The name.
    pub name: String,
    /// The host's reason.
    pub source: io::Error,
}

impl Reach {
    /// What a rule's destination and ports stand for.
    pub(super) fn resolve(net: &Destination, ports: Ports) -> Result<Vec<Self>, ResolveError> {
        Ok(match net {
            Destination::Public => {
                [v4(0, 0, 0, 0), v6(0, 0, 0, 0, 0)].map(|net| Self { net, ports }).to_vec()
            }
            Destination::Net(net) => vec![Self { net: *net, ports }],
            Destination::Name(name) => {
                let resolved = (name.as_str(), 0).to_socket_addrs();
                let resolved = resolved.map_err(|source| ResolveError { name: name.clone(), source })?;
                resolved.map(|address| Self { net: address.ip().into(), ports }).collect()
            }
        })
    }

    /// A rule opens a special-purpose block only if it lies inside it: `*` and `0.0.0.0/0` mean the Internet, not this
    /// machine's loopback, its LAN or the cloud's metadata service.
    pub(super) fn opens(&self, address: IpAddr) -> bool {
        let contains = |block: &IpNet| block.contains(&address);
        contains(&self.net)
            && SPECIAL.iter().filter(|block| contains(block)).all(|block| block.contains(&self.net))
    }
}

pub(super) const fn v4_net(address: Ipv4Addr, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(address, prefix)
}

pub(super) const fn v6_net(address: Ipv6Addr, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(address, prefix)
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> IpNet {
    IpNet::V4(v4_net(Ipv4Addr::new(a, b, c, 0), prefix))
}

const fn v6(a: u16, b: u16, c: u16, h: u16, prefix: u8) -> IpNet {
    IpNet::V6(v6_net(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, h), prefix))
}

/// Blocks that are not the public Internet (IANA special-purpose address registries, RFC 6890).
const SPECIAL: [IpNet; 18] = [
    v4(10, 0, 0, 8),             // private
    v4(100, 64, 0, 10),          // shared with the provider
    v4(127, 0, 0, 8),            // loopback
    v4(169, 254, 0, 16),         // link-local, cloud metadata
    v4(172, 16, 0, 12),          // private
    v4(192, 0, 0, 24),           // protocol assignments, some cloud metadata
    v4(192, 0, 2, 24),           // documentation
    v4(192, 168, 0, 16),         // private
    v4(198, 18, 0, 15),          // benchmarks
    v4(198, 51, 100, 24),        // documentation
    v4(203, 0, 113, 24),         // documentation
    v6(0, 0, 0, 1, 128),         // loopback
    v6(0x64, 0xff9b, 0, 0, 96),  // IPv4 behind a translator, private addresses included
    v6(0x64, 0xff9b, 1, 0, 48),  // the same, local
    v6(0x2001, 0xdb8, 0, 0, 32), // documentation
    v6(0x2002, 0, 0, 0, 16),     // 6to4: IPv4 inside
    v6(0xfc00, 0, 0, 0, 7),      // unique local, cloud metadata
    v6(0xfe80, 0, 0, 0, 10),     // link-local
];
