//! Which host address a packet of the guest may lead to: everything that nobody allowed is closed.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::UserNetError;
use super::addresses::{UserNet, is_gateway, is_resolver};
use crate::net::reach::{Reach, v4_net, v6_net};
use crate::net::rules::{Allow, Protocol};

/// The rules of `--allow`, with names resolved.
#[derive(Debug, Default)]
pub(super) struct Policy {
    tcp: Vec<Reach>,
    udp: Vec<Reach>,
    resolver: Option<SocketAddr>,
}

impl Policy {
    /// Resolves the names in `allow`; `resolver` is called if DNS is allowed.
    pub(super) fn new(
        allow: &[Allow],
        resolver: impl FnOnce() -> Result<SocketAddr, UserNetError>,
    ) -> Result<Self, UserNetError> {
        let mut policy = Self::default();
        for rule in allow {
            match rule {
                Allow::Dns => {}
                Allow::Tcp { net, ports } => policy.tcp.extend(Reach::resolve(net, *ports)?),
                Allow::Udp { net, ports } => policy.udp.extend(Reach::resolve(net, *ports)?),
                Allow::Ping { .. } => return Err(UserNetError::Ping),
            }
        }
        if allow.contains(&Allow::Dns) {
            policy.resolver = Some(resolver()?);
        }
        Ok(policy)
    }

    /// Whether the guest may reach anything at all: without it the helper never needs to make a socket.
    pub(super) fn is_closed(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty() && self.resolver.is_none()
    }

    /// Whether the guest may ask the resolver.
    pub(super) fn allows_dns(&self) -> bool {
        self.resolver.is_some()
    }

    /// Ports of TCP rules, for a second line of defence by port.
    pub(super) fn tcp_ports(&self) -> impl Iterator<Item = u16> {
        let resolver = self.resolver.map(|resolver| resolver.port());
        self.tcp.iter().flat_map(|rule| rule.ports.first..=rule.ports.last).chain(resolver)
    }

    /// The host address that a packet to `destination` is for, or `None` if no rule opens it.
    pub(super) fn target(&self, protocol: Protocol, destination: SocketAddr) -> Option<SocketAddr> {
        let (address, port) = (destination.ip(), destination.port());
        if is_resolver(address) {
            return self.resolver.filter(|_| port == DNS_PORT);
        }
        let loopback = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let address = if is_gateway(address) { loopback } else { address };
        let rules = match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
        };
        let allowed = !is_never_reached(address)
            && rules.iter().any(|rule| rule.ports.contains(port) && rule.opens(address));
        allowed.then(|| SocketAddr::new(address, port))
    }
}

/// Port of DNS, over UDP and TCP.
pub(super) const DNS_PORT: u16 = 53;

/// Addresses that no rule opens: "this host", multicast, reserved and broadcast, IPv4 written as IPv6, and the guest's own
/// network, which hides whatever the host has at these addresses.
fn is_never_reached(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.octets()[0] == 0
                || v4.octets()[0] >= 224
                || v4_net(UserNet::GATEWAY_V4, UserNet::PREFIX_V4).contains(&v4)
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_multicast()
                || v6.to_ipv4_mapped().is_some()
                || v6_net(UserNet::GATEWAY_V6, UserNet::PREFIX_V6).contains(&v6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[&str]) -> Policy {
        let allow: Vec<Allow> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Policy::new(&allow, || Ok("127.0.0.53:53".parse().unwrap())).unwrap()
    }

    fn tcp(policy: &Policy, destination: &str) -> Option<String> {
        policy.target(Protocol::Tcp, destination.parse().unwrap()).map(|target| target.to_string())
    }

    #[test]
    fn nothing_is_open_by_default() {
        let policy = policy(&[]);
        assert!(policy.is_closed());
        for destination in ["10.0.2.2:80", "10.0.2.3:53", "1.1.1.1:443", "127.0.0.1:22", "[::1]:22"] {
            assert_eq!(tcp(&policy, destination), None, "{destination}");
            assert_eq!(policy.target(Protocol::Udp, destination.parse().unwrap()), None, "{destination}");
        }
    }

    #[test]
    fn the_internet_is_not_loopback_lan_or_metadata() {
        for rules in [&["tcp:*:*"][..], &["tcp:0.0.0.0/0:*", "tcp:[::]/0:*"]] {
            let policy = policy(rules);
            for open in ["1.1.1.1:443", "172.32.0.1:1", "[2606:4700::1]:443"] {
                assert_eq!(tcp(&policy, open).as_deref(), Some(open));
            }
            for closed in [
                "10.0.2.2:22",
                "127.0.0.1:22",
                "0.0.0.0:22",
                "10.0.0.1:22",
                "172.16.0.1:22",
                "192.168.1.1:80",
                "169.254.169.254:80",
                "100.64.0.1:1",
                "192.0.0.192:80",
                "224.0.0.1:1",
                "255.255.255.255:1",
                "10.0.2.3:53",
                "10.0.2.15:80",
                "[::1]:22",
                "[::]:22",
                "[::ffff:127.0.0.1]:22",
                "[fe80::1]:22",
                "[fd00:ec2::254]:80",
                "[ff02::1]:1",
                "[64:ff9b::7f00:1]:22",
                "[fd52:494e:4757::2]:22",
                "[2002:7f00:1::]:22",
            ] {
                assert_eq!(tcp(&policy, closed), None, "{closed}");
            }
            assert_eq!(tcp(&policy, "1.1.1.1:0"), None);
        }
    }

    #[test]
    fn special_addresses_open_to_a_rule_that_names_them() {
        let policy =
            policy(&["tcp:127.0.0.1:5432", "tcp:10.0.0.0/8:443", "tcp:[::1]:5432", "tcp:192.0.2.0/25:1-9"]);
        assert_eq!(
            tcp(&policy, "10.0.2.2:5432").as_deref(),
            Some("127.0.0.1:5432"),
            "the gateway is loopback"
        );
        assert_eq!(tcp(&policy, "[fd52:494e:4757::2]:5432").as_deref(), Some("[::1]:5432"));
        assert_eq!(tcp(&policy, "127.0.0.1:5432").as_deref(), Some("127.0.0.1:5432"));
        assert_eq!(tcp(&policy, "10.9.8.7:443").as_deref(), Some("10.9.8.7:443"));
        assert_eq!(tcp(&policy, "192.0.2.1:9").as_deref(), Some("192.0.2.1:9"));
        for closed in ["10.0.2.2:443", "10.0.2.2:5433", "127.0.0.2:5432", "10.0.2.99:443", "192.0.2.1:10"] {
            assert_eq!(tcp(&policy, closed), None, "{closed}");
        }
        assert_eq!(
            policy.target(Protocol::Udp, "10.9.8.7:443".parse().unwrap()),
            None,
            "a TCP rule opens no UDP"
        );
    }

    #[test]
    fn dns_leads_to_the_resolver_and_nowhere_else() {
        let policy = policy(&["dns"]);
        assert_eq!(tcp(&policy, "10.0.2.3:53").as_deref(), Some("127.0.0.53:53"));
        assert_eq!(tcp(&policy, "[fd52:494e:4757::3]:53").as_deref(), Some("127.0.0.53:53"));
        for closed in ["10.0.2.3:54", "10.0.2.2:53", "127.0.0.53:53", "8.8.8.8:53"] {
            assert_eq!(tcp(&policy, closed), None, "{closed}");
        }
    }

    #[test]
    fn names_are_resolved_at_start() {
        let policy = policy(&["tcp:localhost:80"]);
        assert_eq!(tcp(&policy, "10.0.2.2:80").as_deref(), Some("127.0.0.1:80"));
        let unknown = ["tcp:nowhere.invalid:80".parse().unwrap()];
        let error = Policy::new(&unknown, || Ok("127.0.0.1:53".parse().unwrap())).unwrap_err();
        assert!(error.to_string().starts_with("cannot resolve `nowhere.invalid`"), "{error}");
    }
}
