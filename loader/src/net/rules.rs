//! What a person opens between guest and host: `--publish` and `--allow`.
//!
//! Both are closed by default. `--publish` lets connections in to one port of the guest; `--allow` lets the guest out to the
//! addresses and ports it names. This module turns the two options into values and back into text, nothing else; the
//! `user` network carries them out.
//!
//! ```text
//! --publish [ADDR:]HOST:GUEST[/tcp|/udp]     8080:80   0.0.0.0:8080:80   [::1]:8080:80   5353:53/udp   0:80
//! --allow   dns
//! --allow   ping:TO                          only for tap and fd
//! --accept  ping:FROM | tcp|udp:FROM:PORTS   only for tap and fd
//! --allow   tcp|udp:TO:PORTS                 TO     192.0.2.1   10.0.0.0/8   [2001:db8::]/32   *   example.org
//!                                            PORTS  443   5000-5010   *
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::str::FromStr;

use ipnet::IpNet;

/// Why the text of a rule is none. The message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A `--publish` value without the two ports.
    #[error("`{0}` is no port mapping: write HOST:GUEST or ADDR:HOST:GUEST, for example 8080:80")]
    PublishForm(String),
    /// An `--allow` value of another form.
    #[error("`{0}` is no rule: write dns, tcp:TO:PORTS or udp:TO:PORTS, for example tcp:192.0.2.1:443")]
    AllowForm(String),
    /// An `--accept` value that says nothing about callers.
    #[error(
        "`{0}` is no rule about callers: write tcp:FROM:PORTS, udp:FROM:PORTS or ping:FROM, for example tcp:*:80"
    )]
    AcceptForm(String),
    /// Something else than `tcp` or `udp`.
    #[error("`{0}` is no protocol: write tcp or udp")]
    Protocol(String),
    /// A port that is not in range.
    #[error("`{0}` is no port: write a number from 1 to 65535")]
    Port(String),
    /// A host port that is not in range.
    #[error("`{0}` is no host port: write a number from 0 to 65535, where 0 picks a free one")]
    HostPort(String),
    /// A set of ports that is neither a port, a range nor `*`.
    #[error("`{0}` names no ports: write 443, 5000-5010 or *")]
    Ports(String),
    /// A listening address that is not an IP address.
    #[error(
        "`{0}` is no address to listen on: write an IP address, IPv6 in brackets, for example 0.0.0.0 or [::1]"
    )]
    ListenAddress(String),
    /// A destination of another form.
    #[error(
        "`{0}` is no destination: write an address, a prefix such as 10.0.0.0/8 or [2001:db8::]/32, a host name, or *"
    )]
    Destination(String),
}

/// Transport protocol of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl FromStr for Protocol {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(RuleError::Protocol(text.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One published port: whoever connects to `host` on this machine reaches `guest_port` of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Publish {
    /// Protocol of both ends.
    pub protocol: Protocol,
    /// Address and port to listen on. 127.0.0.1 unless told otherwise; port 0 lets the kernel pick.
    pub host: SocketAddr,
    /// Port of the guest, at least 1.
    pub guest_port: u16,
}

impl FromStr for Publish {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (ports, protocol) = match text.rsplit_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        let form = || RuleError::PublishForm(text.to_owned());
        let (listen, guest) = ports.rsplit_once(':').ok_or_else(form)?;
        let (address, host) = match listen.rsplit_once(':') {
            Some((address, host)) => (listen_address(address)?, host),
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), listen),
        };
        let host = host.parse().map_err(|_| RuleError::HostPort(host.to_owned()))?;
        Ok(Self { protocol, host: SocketAddr::new(address, host), guest_port: port(guest)? })
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}/{}", self.host, self.guest_port, self.protocol)
    }
}

fn listen_address(text: &str) -> Result<IpAddr, RuleError> {
    let error = || RuleError::ListenAddress(text.to_owned());
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').and_then(|v6| v6.parse().ok()).map(IpAddr::V6).ok_or_else(error),
        None => text.parse().map(IpAddr::V4).map_err(|_| error()),
    }
}

fn port(text: &str) -> Result<u16, RuleError> {
    match text.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(RuleError::Port(text.to_owned())),
    }
}

/// Ports `first` to `last`, both included, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
}

impl Ports {
    /// Every port.
    pub const ALL: Self = Self { first: 1, last: u16::MAX };

    /// Whether `port` is one of them.
    #[must_use]
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for Ports {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Ok(Self::ALL);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (port(first), port(last)) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(RuleError::Ports(text.to_owned())),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (1, u16::MAX) => formatter.write_str("*"),
            (first, last) if first == last => write!(formatter, "{first}"),
            (first, last) => write!(formatter, "{first}-{last}"),
        }
    }
}

/// Where an [`Allow`] rule leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// `*`: every address of the public Internet. Loopback, private, link-local (cloud metadata) and other special-purpose
    /// addresses are not among them; they need a rule that names them.
    Public,
    /// An address or prefix. One that is shorter than a special-purpose block does not open that block.
    Net(IpNet),
    /// A host name. The launcher resolves it once, at start, and opens the addresses it got; a name whose addresses change
    /// needs a restart.
    Name(String),
}

impl FromStr for Destination {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Ok(Self::Public);
        }
        let plain: String = text.chars().filter(|letter| !"[]".contains(*letter)).collect();
        // Brackets belong to IPv6 and IPv6 needs brackets, or its colons could be taken for the port's.
        if text.starts_with('[') == plain.contains(':') {
            if let Ok(address) = plain.parse::<IpAddr>() {
                return Ok(Self::Net(address.into()));
            }
            if let Ok(net) = plain.parse::<IpNet>() {
                return Ok(Self::Net(net.trunc()));
            }
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        // A name whose last label is a number would be a mistyped address.
        let ends_in_letters = text.bytes().next_back().is_some_and(|byte| byte.is_ascii_alphabetic());
        if text.split('.').all(is_label) && ends_in_letters && text.len() <= 253 {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(RuleError::Destination(text.to_owned()))
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => formatter.write_str("*"),
            Self::Net(IpNet::V4(net)) => write!(formatter, "{net}"),
            Self::Net(IpNet::V6(net)) => write!(formatter, "[{}]/{}", net.addr(), net.prefix_len()),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

/// One thing that the guest may reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Allow {
    /// The resolver of this machine, at the guest's resolver address.
    Dns,
    /// TCP connections.
    Tcp {
        /// To where.
        net: Destination,
        /// To which ports.
        ports: Ports,
    },
    /// UDP datagrams, and their answers.
    Udp {
        /// To where.
        net: Destination,
        /// To which ports.
        ports: Ports,
    },
    /// Echo requests, and their answers.
    Ping {
        /// To where.
        net: Destination,
    },
}

impl FromStr for Allow {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text == "dns" {
            return Ok(Self::Dns);
        }
        let form = || RuleError::AllowForm(text.to_owned());
        let (protocol, rest) = text.split_once(':').ok_or_else(form)?;
        if protocol == "ping" {
            return Ok(Self::Ping { net: rest.parse()? });
        }
        let protocol = protocol.parse()?;
        let (net, ports) = rest.rsplit_once(':').ok_or_else(form)?;
        let (net, ports) = (net.parse()?, ports.parse()?);
        Ok(match protocol {
            Protocol::Tcp => Self::Tcp { net, ports },
            Protocol::Udp => Self::Udp { net, ports },
        })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns => formatter.write_str("dns"),
            Self::Tcp { net, ports } => write!(formatter, "tcp:{net}:{ports}"),
            Self::Udp { net, ports } => write!(formatter, "udp:{net}:{ports}"),
            Self::Ping { net } => write!(formatter, "ping:{net}"),
        }
    }
}

/// Who may call the guest, in the words of [`Allow`]: the addresses are the callers', the ports the guest's, and `*` is anybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Accept(pub Allow);

impl FromStr for Accept {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text.parse()? {
            Allow::Dns => Err(RuleError::AcceptForm(text.to_owned())),
            rule @ (Allow::Tcp { .. } | Allow::Udp { .. } | Allow::Ping { .. }) => Ok(Self(rule)),
        }
    }
}

/// A rule for one of several NICs: `[NAME=]RULE`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForNic<T> {
    /// The NIC's name in the manifest, or `None` for the only one.
    pub nic: Option<String>,
    /// The rule.
    pub rule: T,
}

impl<T: FromStr<Err = RuleError>> FromStr for ForNic<T> {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text.split_once('=') {
            Some((nic, rule)) => Ok(Self { nic: Some(nic.to_owned()), rule: rule.parse()? }),
            None => Ok(Self { nic: None, rule: text.parse()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(text: &str) -> Result<String, RuleError> {
        text.parse::<Publish>().map(|publish| publish.to_string())
    }

    fn allow(text: &str) -> Result<String, RuleError> {
        text.parse::<Allow>().map(|allow| allow.to_string())
    }

    #[test]
    fn publish_listens_on_loopback_unless_told_otherwise() {
        for (text, meaning) in [
            ("8080:80", "127.0.0.1:8080:80/tcp"),
            ("8080:80/tcp", "127.0.0.1:8080:80/tcp"),
            ("0:80", "127.0.0.1:0:80/tcp"),
            ("0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp"),
            ("[::1]:8080:80", "[::1]:8080:80/tcp"),
            ("[::]:5353:53/udp", "[::]:5353:53/udp"),
            ("5353:53/udp", "127.0.0.1:5353:53/udp"),
        ] {
            assert_eq!(publish(text).as_deref(), Ok(meaning), "{text}");
            assert_eq!(publish(meaning).as_deref(), Ok(meaning), "its own text");
        }
    }

    #[test]
    fn bad_publish_says_what_to_write() {
        for (text, message) in [
            ("", "`` is no port mapping: write HOST:GUEST or ADDR:HOST:GUEST, for example 8080:80"),
            ("80", "`80` is no port mapping: write HOST:GUEST or ADDR:HOST:GUEST, for example 8080:80"),
            ("8080:80/sctp", "`sctp` is no protocol: write tcp or udp"),
            ("8080:0", "`0` is no port: write a number from 1 to 65535"),
            ("8080:65536", "`65536` is no port: write a number from 1 to 65535"),
            ("x:80", "`x` is no host port: write a number from 0 to 65535, where 0 picks a free one"),
        ] {
            assert_eq!(publish(text).unwrap_err().to_string(), message, "{text}");
        }
        for text in ["localhost:8080:80", "::1:8080:80", "[127.0.0.1]:8080:80", "[::1:8080:80"] {
            assert!(publish(text).unwrap_err().to_string().contains("IPv6 in brackets"), "{text}");
        }
    }

    #[test]
    fn allow_takes_addresses_prefixes_names_and_the_internet() {
        for (text, meaning) in [
            ("dns", "dns"),
            ("tcp:10.0.0.0/8:443", "tcp:10.0.0.0/8:443"),
            ("tcp:10.1.2.3/8:443", "tcp:10.0.0.0/8:443"),
            ("udp:192.0.2.1:5000-5010", "udp:192.0.2.1/32:5000-5010"),
            ("tcp:*:443", "tcp:*:443"),
            ("tcp:*:*", "tcp:*:*"),
            ("tcp:example.org:443", "tcp:example.org:443"),
            ("tcp:[2001:db8::1]:443", "tcp:[2001:db8::1]/128:443"),
            ("udp:[2001:db8::]/32:53", "udp:[2001:db8::]/32:53"),
            ("udp:[2001:db8::/32]:53", "udp:[2001:db8::]/32:53"),
        ] {
            assert_eq!(allow(text).as_deref(), Ok(meaning), "{text}");
            assert_eq!(allow(meaning).as_deref(), Ok(meaning), "its own text");
        }
    }

    #[test]
    fn rules_of_frames_are_about_pings_callers_and_one_of_several_nics() {
        assert_eq!(allow("ping:10.0.0.0/8").as_deref(), Ok("ping:10.0.0.0/8"));
        assert_eq!("tcp:*:80".parse::<Accept>().unwrap().0.to_string(), "tcp:*:80");
        assert_eq!("dns".parse::<Accept>(), Err(RuleError::AcceptForm("dns".to_owned())));
        let named = "lan=udp:[fd00::]/8:53".parse::<ForNic<Allow>>().unwrap();
        assert_eq!(
            (named.nic.as_deref(), named.rule.to_string().as_str()),
            (Some("lan"), "udp:[fd00::]/8:53")
        );
        assert_eq!("dns".parse::<ForNic<Allow>>().unwrap().nic, None);
    }

    #[test]
    fn bad_allow_says_what_to_write() {
        for (text, part) in [
            ("", "write dns, tcp:TO:PORTS or udp:TO:PORTS"),
            ("tcp", "write dns, tcp:TO:PORTS or udp:TO:PORTS"),
            ("tcp:10.0.0.1", "write dns, tcp:TO:PORTS or udp:TO:PORTS"),
            ("icmp:10.0.0.1:1", "`icmp` is no protocol: write tcp or udp"),
            ("tcp:10.0.0.1:0", "`0` names no ports: write 443, 5000-5010 or *"),
            ("tcp:10.0.0.1:9-8", "`9-8` names no ports"),
            ("tcp:10.0.0.1:", "`` names no ports"),
            ("tcp:10.0.0.0/33:1", "`10.0.0.0/33` is no destination"),
            ("tcp:10.0.0:1", "`10.0.0` is no destination"),
            ("tcp:300.0.0.1:1", "`300.0.0.1` is no destination"),
            ("tcp:2001:db8::1:443", "`2001:db8::1` is no destination"),
            ("tcp:[10.0.0.1]:443", "`[10.0.0.1]` is no destination"),
            ("tcp::443", "`` is no destination"),
            ("tcp:exa mple.org:443", "`exa mple.org` is no destination"),
        ] {
            let message = allow(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
