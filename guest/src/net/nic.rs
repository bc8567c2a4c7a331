//! One NIC: its link, its smoltcp interface, and where its addresses come from.

use core::net::IpAddr;
use core::time::Duration;

use hvcall::NicInfo;
use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp::{ConnectError, Socket};
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpPacket, EthernetAddress, HardwareAddress, IpProtocol, IpRepr,
    NdiscRepr, UdpPacket, UdpRepr,
};

use super::addresses::Addresses;
use super::dhcp::{Change, Dhcp, Message};
use super::fixed::{apply_ipv4, apply_ipv6, host_ipv4, host_ipv6};
use super::link::Link;
use super::ndp;
use super::packet::Tuple;
use super::router::RouterDiscovery;
use super::stage::{Stage, to_smoltcp};
use super::{Config, StaticConfig};
use crate::time::Instant;

/// Smallest MTU taken: what IPv6 needs (RFC 8200, section 5), and smoltcp's arithmetic.
const MIN_MTU: u16 = 1_280;
/// Hop limit of everything we originate.
const HOP_LIMIT: u8 = 64;

/// A NIC and all that belongs to it alone.
pub(super) struct Nic {
    pub(super) link: Link,
    interface: Interface,
    dhcp: Option<Dhcp>,
    routers: Option<RouterDiscovery>,
}

impl Nic {
    /// A NIC as boot information describes it. `baked` counts where the host chose nothing.
    pub(super) fn new(
        info: &NicInfo,
        baked: Option<&StaticConfig>,
        random: fn() -> u64,
        now: Instant,
    ) -> Self {
        let mac = EthernetAddress(info.mac);
        let mut link = Link::new(mac, usize::from(info.mtu.max(MIN_MTU)), info.offloads());
        let ipv4 = host_ipv4(info).or_else(|| baked.and_then(|config| config.ipv4));
        let ipv6 = host_ipv6(info).or_else(|| baked.and_then(|config| config.ipv6));
        if let Some(config) = ipv4 {
            apply_ipv4(&mut link.addresses, &config);
        }
        if let Some(config) = ipv6 {
            apply_ipv6(&mut link.addresses, &config);
        }
        let seed = random();
        let interface = interface(&mut link, seed, now);
        let transaction = u32::try_from(seed >> 32).unwrap_or(1);
        let mut nic = Self {
            link,
            interface,
            dhcp: ipv4.is_none().then(|| Dhcp::new(mac, transaction, now)),
            routers: ipv6.is_none().then(|| RouterDiscovery::new(now)),
        };
        nic.link.announce_arp();
        nic
    }

    /// Makes the next initial sequence number unpredictable: smoltcp draws them from a small generator whose state could be
    /// worked out from a few of them, so each connection gets a freshly seeded one.
    pub(super) fn reseed(&mut self, seed: u64, now: Instant) {
        self.interface = interface(&mut self.link, seed, now);
    }

    /// Starts a connection attempt on a closed socket, with an initial sequence number that comes from `seed`.
    pub(super) fn connect(
        &mut self,
        socket: &mut Socket<'_>,
        tuple: &Tuple,
        seed: u64,
        now: Instant,
    ) -> Result<(), ConnectError> {
        self.reseed(seed, now);
        socket.connect(self.interface.context(), tuple.remote(), tuple.local())
    }

    /// Lets the sockets of `set` take in `packet`.
    pub(super) fn ingress(&mut self, packet: &[u8], set: &mut SocketSet<'_>, now: Instant) {
        let mut stage = Stage { packet: Some(packet), link: &mut self.link, now };
        self.interface.poll_ingress_single(to_smoltcp(now), &mut stage, set);
    }

    /// Lets each socket of `set` send one packet, and says whether any did.
    pub(super) fn egress(&mut self, set: &mut SocketSet<'_>, now: Instant) -> bool {
        let mut stage = Stage { packet: None, link: &mut self.link, now };
        self.interface.poll_egress(to_smoltcp(now), &mut stage, set) == PollResult::SocketStateChanged
    }

    /// When `set` must be looked at again; `Instant::default()` for at once.
    pub(super) fn poll_at(&mut self, set: &SocketSet<'_>, now: Instant) -> Instant {
        let at = self.interface.poll_at(to_smoltcp(now), set);
        at.map_or(Instant::FAR_FUTURE, super::stage::from_smoltcp)
    }

    /// What the NIC is configured to.
    pub(super) fn config(&self) -> Config {
        let addresses = &self.link.addresses;
        Config {
            mac: self.link.mac.0,
            mtu: self.link.mtu,
            ipv4: addresses.ipv4.map(|own| (own.address(), own.prefix_len())),
            gateway4: addresses.gateway4,
            ipv6: addresses.ipv6.map(|own| (own.address(), own.prefix_len())),
            link_local: addresses.link_local,
            gateway6: addresses.gateway6,
            resolvers: addresses.resolvers.iter().copied().collect(),
        }
    }

    /// When [`Self::poll`] has something to do.
    pub(super) fn deadline(&self) -> Instant {
        let dhcp = self.dhcp.as_ref().map_or(Instant::FAR_FUTURE, Dhcp::deadline);
        let routers = self.routers.as_ref().map_or(Instant::FAR_FUTURE, RouterDiscovery::deadline);
        self.link.neighbors.deadline().min(dhcp).min(routers)
    }

    /// Runs the NIC's own timers, and says whether its addresses changed.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        now >= self.deadline() && self.run_timers(now)
    }

    #[cold]
    fn run_timers(&mut self, now: Instant) -> bool {
        self.link.poll_neighbors(now);
        let mut changed = false;
        if let Some(dhcp) = &mut self.dhcp {
            let (message, change) = dhcp.poll(now);
            changed |= self.apply(change);
            if let Some(message) = message {
                self.send_dhcp(&message, now);
            }
        }
        if let Some(routers) = &mut self.routers {
            let (solicit, expired) = routers.poll(&mut self.link.addresses, now);
            if solicit {
                self.link.ask_routers();
            }
            changed |= expired;
        }
        if changed {
            self.sync();
        }
        changed
    }

    /// Takes in a datagram to the DHCP client port, and says whether our addresses changed. `None` if no client runs.
    #[cold]
    pub(super) fn receive_dhcp(&mut self, payload: &[u8], now: Instant) -> Option<bool> {
        let change = self.dhcp.as_mut()?.receive(payload, now);
        let changed = self.apply(change);
        if changed {
            self.sync();
            self.link.announce_arp();
        }
        Some(changed)
    }

    /// Takes in `packet` if it is NDP: says whether our addresses changed, or `None` for any other packet.
    pub(super) fn receive_ndp(&mut self, packet: &[u8], now: Instant) -> Option<bool> {
        if ndp::is_ndp(packet) { self.take_ndp(packet, now) } else { None }
    }

    #[cold]
    fn take_ndp(&mut self, packet: &[u8], now: Instant) -> Option<bool> {
        let (message, source) = ndp::parse(packet)?;
        let NdiscRepr::RouterAdvert { lladdr, .. } = message else {
            self.link.receive_ndp(&message, source, now);
            return Some(false);
        };
        let Some(routers) = &mut self.routers else { return Some(false) };
        let mac = self.link.mac;
        let changed = routers.receive(&message, source, packet, mac, &mut self.link.addresses, now);
        if self.link.addresses.gateway6 == Some(source) {
            self.link.learn_router(source, lladdr, now);
        }
        if changed {
            self.sync();
        }
        Some(changed)
    }

    /// Sends a datagram. The payload must fit the MTU.
    pub(super) fn send_udp(
        &mut self,
        from: (IpAddr, u16),
        to: (IpAddr, u16),
        payload_bytes: usize,
        now: Instant,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let udp = UdpRepr { src_port: from.1, dst_port: to.1 };
        let size_bytes = udp.header_len() + payload_bytes;
        let ip = IpRepr::new(from.0.into(), to.0.into(), IpProtocol::Udp, size_bytes, HOP_LIMIT);
        let checks = ChecksumCapabilities::default();
        self.link.send_packet(ip.buffer_len(), now, |out| {
            let (header, body) = out.split_at_mut(ip.header_len());
            ip.emit(header, &checks);
            let mut datagram = UdpPacket::new_unchecked(body);
            udp.emit(&mut datagram, &ip.src_addr(), &ip.dst_addr(), payload_bytes, fill, &checks);
        });
    }

    fn send_dhcp(&mut self, message: &Message, now: Instant) {
        let from = (IpAddr::V4(message.source), DHCP_CLIENT_PORT);
        let to = (IpAddr::V4(message.destination), DHCP_SERVER_PORT);
        self.send_udp(from, to, message.content.buffer_len(), now, |out| {
            // The buffer is as long as the message says it is, so there is nothing to fail.
            let _written = message.content.emit(&mut DhcpPacket::new_unchecked(out));
        });
    }

    fn apply(&mut self, change: Option<Change>) -> bool {
        let addresses = &mut self.link.addresses;
        let before = addresses.ipv4;
        match change {
            None => return false,
            Some(Change::Lost) => {
                addresses.ipv4 = None;
                addresses.gateway4 = None;
            }
            Some(Change::Lent(lease)) => {
                addresses.ipv4 = Some(lease.address);
                addresses.gateway4 = lease.router;
                addresses.resolvers.retain(|resolver| resolver.is_ipv6());
                for (place, resolver) in lease.resolvers.into_iter().enumerate() {
                    if addresses.resolvers.insert(place, IpAddr::V4(resolver)).is_err() {
                        break;
                    }
                }
            }
        }
        before != self.link.addresses.ipv4
    }

    /// Tells smoltcp the addresses, and forgets neighbours that were found under the old ones.
    fn sync(&mut self) {
        self.link.neighbors.clear();
        set_addresses(&mut self.interface, &self.link.addresses);
    }
}

fn interface(link: &mut Link, seed: u64, now: Instant) -> Interface {
    let mut config = smoltcp::iface::Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut stage = Stage { packet: None, link, now };
    let mut interface = Interface::new(config, &mut stage, to_smoltcp(now));
    set_addresses(&mut interface, &link.addresses);
    interface
}

fn set_addresses(interface: &mut Interface, addresses: &Addresses) {
    interface.update_ip_addrs(|own| {
        own.clear();
        own.extend(addresses.cidrs());
    });
}

impl core::fmt::Debug for Nic {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Nic").field("link", &self.link).finish_non_exhaustive()
    }
}

/// How long a NIC without a configured address is waited for.
pub(super) const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(30);
