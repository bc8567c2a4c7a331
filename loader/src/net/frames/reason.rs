//! Why frames are dropped.

use std::fmt;

/// Why a frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Lengths or fields that do not agree, or something left over.
    Malformed,
    /// A VLAN tag.
    Vlan,
    /// Neither ARP nor IP, or a length in place of a type.
    EtherType,
    /// Another source address than the NIC's.
    SourceMac,
    /// For another host, or for a group.
    DestinationMac,
    /// A part of an IP packet.
    Fragment,
    /// IPv4 options.
    Options,
    /// IPv6 extension headers.
    Extension,
    /// Neither TCP nor UDP, nor a kind of ICMP that is known.
    Protocol,
    /// Another IP address than the guest's.
    SourceAddress,
    /// An address that cannot be a single other host's.
    DestinationAddress,
    /// ARP or NDP about somebody it should not be about.
    Neighbour,
    /// DHCP that is not the guest's.
    Dhcp,
    /// The host's kernel would make something else of it than was judged.
    Offload,
    /// No rule opens it.
    NoRule,
    /// The other side did not take it.
    Refused,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Vlan,
        Self::EtherType,
        Self::SourceMac,
        Self::DestinationMac,
        Self::Fragment,
        Self::Options,
        Self::Extension,
        Self::Protocol,
        Self::SourceAddress,
        Self::DestinationAddress,
        Self::Neighbour,
        Self::Dhcp,
        Self::Offload,
        Self::NoRule,
        Self::Refused,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "malformed",
            Self::Vlan => "VLAN",
            Self::EtherType => "type",
            Self::SourceMac => "source MAC",
            Self::DestinationMac => "destination MAC",
            Self::Fragment => "fragment",
            Self::Options => "options",
            Self::Extension => "extension header",
            Self::Protocol => "protocol",
            Self::SourceAddress => "source address",
            Self::DestinationAddress => "destination address",
            Self::Neighbour => "neighbour",
            Self::Dhcp => "DHCP",
            Self::Offload => "offload",
            Self::NoRule => "no rule",
            Self::Refused => "not taken",
        })
    }
}
