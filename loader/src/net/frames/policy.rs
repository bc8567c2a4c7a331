//! The rules of one NIC, and the judgement about a frame.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hvcall::NicInfo;
use hvcall::boot::IP_STATIC;
use ipnet::Ipv4Net;

use super::callers::{Call, Callers};
use super::decode::{Decoded, Ip, Packet, Payload, decode};
use super::dhcp::{self, Overheard};
use super::{Direction, Reason, Verdict, offload};
use crate::net::reach::{Reach, ResolveError};
use crate::net::rules::{Accept, Allow, Ports};
use crate::net::tap::VNET_HEADER_BYTES;

/// Port of DNS, over UDP and TCP.
const DNS_PORT: u16 = 53;
pub(super) const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A name could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// There is no resolver to allow.
    #[error("--allow dns needs dns= of the NIC, or DHCP, which is used without ip=")]
    NoResolver,
}

/// What may be talked to, and who may call.
#[derive(Debug, Default)]
struct Rules {
    tcp: Vec<Reach>,
    udp: Vec<Reach>,
    ping: Vec<Reach>,
    dns: bool,
}

/// Which frames pass a NIC.
///
/// It has a state of bounded size: who has called, and what DHCP has lent.
#[derive(Debug)]
pub struct FramePolicy {
    pub(super) mac: [u8; 6],
    /// The fixed address with its network, or what is overheard of DHCP.
    ipv4: Result<Ipv4Net, Overheard>,
    pub(super) ipv6: Option<Ipv6Addr>,
    pub(super) link_local: Ipv6Addr,
    mtu: u16,
    gateways: Vec<IpAddr>,
    resolvers: Vec<IpAddr>,
    allow: Rules,
    accept: Rules,
    /// Only addresses are pinned; peers and ports are free.
    open: bool,
    callers: Callers,
    now_s: u64,
}

impl FramePolicy {
    /// The policy of the NIC that `nic` describes. Names in rules are resolved now, by this machine's resolver.
    ///
    /// With `open` there are no rules: the NIC's own addresses are all that is checked besides the form of each frame.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn new(nic: &NicInfo, allow: &[Allow], accept: &[Accept], open: bool) -> Result<Self, PolicyError> {
        let (ipv4, ipv6) = (&nic.ipv4, &nic.ipv6);
        let is_fixed = ipv4.flags & IP_STATIC != 0;
        let fixed = is_fixed.then(|| Ipv4Net::new_assert(ipv4.address.into(), ipv4.prefix.min(32)));
        let given = |address: IpAddr| (!address.is_unspecified()).then_some(address);
        let v4 = |octets: [u8; 4]| given(IpAddr::from(octets));
        let v6 = |octets: [u8; 16]| given(IpAddr::from(octets));
        let policy = Self {
            mac: nic.mac,
            ipv4: fixed.ok_or_else(Overheard::default),
            ipv6: (ipv6.flags & IP_STATIC != 0).then(|| Ipv6Addr::from(ipv6.address)),
            link_local: link_local(nic.mac),
            mtu: nic.mtu,
            gateways: v4(ipv4.gateway).into_iter().chain(v6(ipv6.gateway)).collect(),
            resolvers: v4(ipv4.dns).into_iter().chain(v6(ipv6.dns)).collect(),
            allow: Rules::new(allow)?,
            accept: Rules::new(&accept.iter().map(|rule| rule.0.clone()).collect::<Vec<_>>())?,
            open,
            callers: Callers::new(),
            now_s: 0,
        };
        if policy.allow.dns && policy.resolvers.is_empty() && policy.ipv4.is_ok() {
            return Err(PolicyError::NoResolver);
        }
        Ok(policy)
    }

    /// Tells the time, in seconds since any moment.
    pub fn set_time(&mut self, now_s: u64) {
        self.now_s = now_s;
    }

    /// Says whether a frame passes. Any bytes will do.
    pub fn judge(&mut self, frame: &[u8], direction: Direction) -> Verdict {
        let judged = decode(frame, direction).and_then(|decoded| match direction {
            Direction::FromGuest => self.judge_from_guest(&decoded),
            Direction::ToGuest => self.judge_to_guest(&decoded),
        });
        match judged {
            Ok(()) => Verdict::Pass,
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Says whether a frame passes that comes behind an offload header. The network's own headers are the host's: they are not judged.
    pub fn judge_with_header(
        &mut self,
        header: &[u8; VNET_HEADER_BYTES],
        frame: &[u8],
        direction: Direction,
    ) -> Verdict {
        let verdict = self.judge(frame, direction);
        let is_honest = direction == Direction::ToGuest || offload::belongs(header, frame, self.mtu);
        if verdict == Verdict::Pass && !is_honest { Verdict::Drop(Reason::Offload) } else { verdict }
    }

    fn judge_from_guest(&mut self, frame: &Decoded<'_>) -> Result<(), Reason> {
        if frame.from != self.mac {
            return Err(Reason::SourceMac);
        }
        let ip = match &frame.packet {
            Packet::Arp(arp) => return self.arp_from_guest(arp, frame.to),
            Packet::Ip(ip) => ip,
        };
        if let Payload::Ndp(ndp) = &ip.payload {
            return self.ndp_from_guest(ip, ndp, frame.to);
        }
        if let (Err(overheard), true) = (&mut self.ipv4, dhcp::is_dhcp(ip)) {
            let mac_fits =
                is_unicast(frame.to) || (frame.to == BROADCAST_MAC && ip.destination == Ipv4Addr::BROADCAST);
            let admitted = mac_fits && overheard.admits(ip, self.mac);
            return if admitted { Ok(()) } else { Err(Reason::Dhcp) };
        }
        if !is_unicast(frame.to) {
            return Err(Reason::DestinationMac);
        }
        if !self.owns(ip.source) {
            return Err(Reason::SourceAddress);
        }
        if !self.is_other_host(ip.destination) {
            return Err(Reason::DestinationAddress);
        }
        let peer = ip.destination;
        let opened = match ip.payload {
            Payload::Tcp { source, destination, opens } => {
                let answer = Call::Tcp { peer, peer_port: destination, port: source };
                self.allows_tcp(peer, destination) || (!opens && self.callers.has(&answer))
            }
            Payload::Udp { source, destination, .. } => {
                let answer = Call::Udp { peer, peer_port: destination, port: source };
                self.allows_udp(peer, destination) || self.callers.has(&answer)
            }
            Payload::Echo { is_request: true, .. } => self.open || self.allow.opens_ping(peer),
            Payload::Echo { is_request: false, identifier } => {
                self.callers.has(&Call::Echo { peer, identifier })
            }
            Payload::Undelivered { .. } | Payload::Ndp(_) => return Err(Reason::Protocol),
        };
        if opened { Ok(()) } else { Err(Reason::NoRule) }
    }

    fn judge_to_guest(&mut self, frame: &Decoded<'_>) -> Result<(), Reason> {
        let ip = match &frame.packet {
            Packet::Arp(arp) => return self.arp_to_guest(arp, frame),
            Packet::Ip(ip) => ip,
        };
        if let Payload::Ndp(ndp) = &ip.payload {
            return self.ndp_to_guest(ip, ndp, frame.to);
        }
        if let (Err(overheard), true) = (&mut self.ipv4, dhcp::is_dhcp(ip)) {
            let heard = (frame.to == self.mac || frame.to == BROADCAST_MAC) && overheard.hears(ip, self.mac);
            return if heard { Ok(()) } else { Err(Reason::Dhcp) };
        }
        if frame.to != self.mac {
            return Err(Reason::DestinationMac);
        }
        if !self.owns(ip.destination) {
            return Err(Reason::DestinationAddress);
        }
        if !self.is_other_host(ip.source) || self.owns(ip.source) {
            return Err(Reason::SourceAddress);
        }
        self.payload_to_guest(ip)
    }

    fn payload_to_guest(&mut self, ip: &Ip<'_>) -> Result<(), Reason> {
        let peer = ip.source;
        // A call that may be made is noted with each of its packets, not only the first.
        let (call, is_answer) = match ip.payload {
            Payload::Tcp { source, destination, opens } => {
                let call = Call::Tcp { peer, peer_port: source, port: destination };
                let accepted = self.open || self.accept.accepts_tcp(peer, destination);
                (accepted.then_some(call), !opens && self.allows_tcp(peer, source))
            }
            Payload::Udp { source, destination, .. } => {
                let call = Call::Udp { peer, peer_port: source, port: destination };
                let accepted = self.open || self.accept.accepts_udp(peer, destination);
                (accepted.then_some(call), self.allows_udp(peer, source))
            }
            Payload::Echo { is_request: true, identifier } => {
                let accepted = self.open || self.accept.accepts_ping(peer);
                (accepted.then_some(Call::Echo { peer, identifier }), false)
            }
            Payload::Echo { is_request: false, .. } => (None, self.open || self.allow.opens_ping(peer)),
            Payload::Undelivered { source, destination } => {
                (None, self.owns(source) && self.may_ask(destination))
            }
            Payload::Ndp(_) => (None, false),
        };
        if let Some(call) = call {
            self.callers.note(call, self.now_s);
            return Ok(());
        }
        if is_answer { Ok(()) } else { Err(Reason::NoRule) }
    }

    fn allows_tcp(&self, peer: IpAddr, port: u16) -> bool {
        self.open || self.is_dns(peer, port) || opens(&self.allow.tcp, peer, port)
    }

    fn allows_udp(&self, peer: IpAddr, port: u16) -> bool {
        self.open || self.is_dns(peer, port) || opens(&self.allow.udp, peer, port)
    }

    fn is_dns(&self, peer: IpAddr, port: u16) -> bool {
        self.allow.dns && port == DNS_PORT && self.is_resolver(peer)
    }

    fn is_resolver(&self, address: IpAddr) -> bool {
        let lent = self.ipv4.as_ref().err().and_then(|overheard| overheard.lease.as_ref());
        self.resolvers.contains(&address)
            || lent.is_some_and(|lease| lease.resolvers.iter().flatten().any(|resolver| address == *resolver))
    }

    fn is_gateway(&self, address: IpAddr) -> bool {
        let lent = self.ipv4.as_ref().err().and_then(|overheard| overheard.lease.as_ref());
        self.gateways.contains(&address)
            || lent.is_some_and(|lease| {
                lease.router.is_some_and(|router| address == router) || address == lease.server
            })
    }

    /// Whether the guest has any business with a host: only then may it ask for its MAC address.
    pub(super) fn may_ask(&self, host: IpAddr) -> bool {
        let rules = &self.allow;
        self.open
            || self.is_gateway(host)
            || (rules.dns && self.is_resolver(host))
            || [&rules.tcp, &rules.udp, &rules.ping]
                .iter()
                .any(|list| list.iter().any(|rule| rule.opens(host)))
            || self.callers.knows(host)
    }

    /// The guest's IPv4 address with its network, if it has one.
    pub(super) fn own_v4(&self) -> Option<Ipv4Net> {
        match &self.ipv4 {
            Ok(fixed) => Some(*fixed),
            Err(overheard) => {
                overheard.lease.map(|lease| Ipv4Net::new_assert(lease.address, lease.prefix.min(32)))
            }
        }
    }

    fn owns(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.own_v4().is_some_and(|own| own.addr() == address),
            IpAddr::V6(address) => self.ipv6 == Some(address),
        }
    }

    /// Whether an address can be that of one other host.
    fn is_other_host(&self, address: IpAddr) -> bool {
        let is_broadcast = match address {
            IpAddr::V4(v4) => {
                let of_network =
                    |own: Ipv4Net| own.prefix_len() < 31 && (own.broadcast() == v4 || own.network() == v4);
                v4.is_broadcast()
                    || v4.octets()[0] == 0
                    || v4.octets()[0] >= 240
                    || self.own_v4().is_some_and(of_network)
            }
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
        };
        !is_broadcast && !address.is_multicast() && !address.is_unspecified() && !address.is_loopback()
    }
}

impl Rules {
    fn new(rules: &[Allow]) -> Result<Self, ResolveError> {
        let mut resolved = Self::default();
        for rule in rules {
            match rule {
                Allow::Dns => resolved.dns = true,
                Allow::Tcp { net, ports } => resolved.tcp.extend(Reach::resolve(net, *ports)?),
                Allow::Udp { net, ports } => resolved.udp.extend(Reach::resolve(net, *ports)?),
                Allow::Ping { net } => resolved.ping.extend(Reach::resolve(net, Ports::ALL)?),
            }
        }
        Ok(resolved)
    }

    fn opens_ping(&self, peer: IpAddr) -> bool {
        self.ping.iter().any(|rule| rule.opens(peer))
    }

    fn accepts_tcp(&self, peer: IpAddr, port: u16) -> bool {
        accepts(&self.tcp, peer, port)
    }

    fn accepts_udp(&self, peer: IpAddr, port: u16) -> bool {
        accepts(&self.udp, peer, port)
    }

    fn accepts_ping(&self, peer: IpAddr) -> bool {
        self.ping.iter().any(|rule| rule.net.contains(&peer))
    }
}

fn opens(rules: &[Reach], peer: IpAddr, port: u16) -> bool {
    rules.iter().any(|rule| rule.ports.contains(port) && rule.opens(peer))
}

/// Callers come to the guest by themselves: there is no address that a prefix does not mean.
fn accepts(rules: &[Reach], peer: IpAddr, port: u16) -> bool {
    rules.iter().any(|rule| rule.ports.contains(port) && rule.net.contains(&peer))
}

pub(super) const fn is_unicast(mac: [u8; 6]) -> bool {
    mac[0] & 1 == 0
}

/// The link-local address that belongs to a MAC address (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
