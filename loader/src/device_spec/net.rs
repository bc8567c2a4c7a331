//! `--net [NAME=]KIND[,OPTION]...`: where a NIC's frames go, and what the guest is told about it.

mod options;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::str::FromStr;

use hvcall::NicInfo;
use hvcall::boot::{IP_STATIC, Ipv4Config, Ipv6Config, Offloads};
use ipnet::{Ipv4Net, Ipv6Net};
use thiserror::Error;

use super::{Mac, MacError, default_mac, is_device_name};

/// What an error shows.
const EXAMPLE: &str = "--net net=tap:tap0,ip=10.0.0.2/24,gw=10.0.0.1";

/// Smallest and largest MTU, as [`NicInfo::mtu`] has it.
const MTU_BYTES: std::ops::RangeInclusive<u16> = 1280..=65_521;

/// Where frames go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetKind {
    /// `tap:IFACE`: a tap interface that exists already.
    Tap {
        /// Its name.
        interface: String,
    },
    /// `user`: the helper process with its own TCP/IP stack, which also chooses the addresses.
    User,
    /// `fd:N`: an inherited descriptor on which one read or write is one Ethernet frame.
    Fd {
        /// Its number, 3 or more.
        fd: RawFd,
    },
}

/// A `--net` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetSpec {
    /// The NIC's name in the manifest, or `None` for the only one.
    pub name: Option<String>,
    /// Where its frames go.
    pub kind: NetKind,
    /// `mac=`.
    pub mac: Option<Mac>,
    /// `mtu=`: largest IP packet, 1,280 to 65,521 bytes.
    pub mtu: Option<u16>,
    /// `offload=`: whether a tap's frames may be segments of up to 64 KiB with their checksums unfinished; on, if not said.
    pub offload: Option<bool>,
    /// `ip=`: address and prefix. Without it the guest asks DHCP.
    pub ip: Option<Ipv4Net>,
    /// `gw=`, only with `ip=`.
    pub gateway: Option<Ipv4Addr>,
    /// `dns=`, only with `ip=`.
    pub dns: Option<Ipv4Addr>,
    /// `ip6=`: address and prefix. Without it the guest listens for router advertisements.
    pub ip6: Option<Ipv6Net>,
    /// `gw6=`, only with `ip6=`.
    pub gateway6: Option<Ipv6Addr>,
    /// `dns6=`, only with `ip6=`.
    pub dns6: Option<Ipv6Addr>,
    /// `pinned=yes`: frames pass with the NIC's own addresses only.
    pub pinned: bool,
}

/// Why a `--net` option is not understood. Every text ends with an example.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NetSpecError {
    /// What stands before `=` cannot be a device's name.
    #[error("`{0}` is not a device name (1 to 24 of a-z, 0-9 and -); write for example {EXAMPLE}")]
    Name(String),
    /// The kind is not one of the three.
    #[error("`{0}` is not a kind of network; it is tap:IFACE, user or fd:N, for example {EXAMPLE}")]
    Kind(String),
    /// Not an interface name.
    #[error(
        "`{0}` is not an interface name (1 to 15 characters, no space or / or %); write for example {EXAMPLE}"
    )]
    Interface(String),
    /// Not a descriptor number.
    #[error("`{0}` is not a file descriptor number of 3 or more; write for example --net net=fd:3")]
    Fd(String),
    /// An option of no known name.
    #[error(
        "`{0}` is not an option of --net; there are ip, gw, dns, ip6, gw6, dns6, mac, mtu, offload and pinned, for example {EXAMPLE}"
    )]
    UnknownOption(String),
    /// An option came twice.
    #[error("option {0}= is there twice; write for example {EXAMPLE}")]
    Repeated(&'static str),
    /// An option's value is malformed or out of range.
    #[error("{option}={value} is wrong: it has to be {wanted}; write for example {EXAMPLE}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value as written.
        value: String,
        /// What is accepted.
        wanted: &'static str,
    },
    /// The MAC address.
    #[error("mac= is wrong: {0}")]
    Mac(#[from] MacError),
    /// An option that says nothing without another one.
    #[error("option {option}= needs {needs}= as well; write for example {EXAMPLE}")]
    Alone {
        /// The option.
        option: &'static str,
        /// What is missing.
        needs: &'static str,
    },
    /// An option was given for `user`, which decides all of them itself.
    #[error(
        "option {0}= does not go with `user`, which gives the appliance its addresses; leave it out, or use tap:IFACE"
    )]
    NotWithUser(&'static str),
    /// An option that only a tap has.
    #[error("option {0}= is for tap only; write for example {EXAMPLE},offload=off")]
    OnlyWithTap(&'static str),
}

impl FromStr for NetSpec {
    type Err = NetSpecError;

    fn from_str(text: &str) -> Result<Self, NetSpecError> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (name, kind) = match head.split_once('=') {
            Some((name, kind)) if is_device_name(name) => (Some(name.to_owned()), kind),
            Some((name, _)) => return Err(NetSpecError::Name(name.to_owned())),
            None => (None, head),
        };
        let mut spec = Self {
            name,
            kind: kind.parse()?,
            mac: None,
            mtu: None,
            offload: None,
            ip: None,
            gateway: None,
            dns: None,
            ip6: None,
            gateway6: None,
            dns6: None,
            pinned: false,
        };
        for part in parts {
            options::apply(&mut spec, part)?;
        }
        options::check_together(&spec)?;
        Ok(spec)
    }
}

impl FromStr for NetKind {
    type Err = NetSpecError;

    fn from_str(text: &str) -> Result<Self, NetSpecError> {
        match text.split_once(':') {
            None if text == "user" => Ok(Self::User),
            Some(("tap", interface)) if is_interface_name(interface) => {
                Ok(Self::Tap { interface: interface.to_owned() })
            }
            Some(("tap", interface)) => Err(NetSpecError::Interface(interface.to_owned())),
            Some(("fd", number)) => match number.parse() {
                Ok(fd) if fd >= 3 && number.bytes().all(|digit| digit.is_ascii_digit()) => {
                    Ok(Self::Fd { fd })
                }
                _ => Err(NetSpecError::Fd(number.to_owned())),
            },
            _ => Err(NetSpecError::Kind(text.to_owned())),
        }
    }
}

/// The kernel's rule (`dev_valid_name`, net/core/dev.c, v6.12), without `%`, which would ask it for a new number.
fn is_interface_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    (1..=15).contains(&text.len()) && text != "." && text != ".." && text.bytes().all(allowed)
}

impl NetSpec {
    /// What the guest is told about this NIC.
    ///
    /// `mtu` and `offloads` are the host device's. `mtu=` may only lower what a tap takes; the smaller one counts. What an
    /// inherited descriptor takes is not known here, so there `mtu=` decides and `mtu` is only the default.
    #[must_use]
    pub fn nic_info(&self, appliance: &str, nic: &str, mtu: u16, offloads: Offloads) -> NicInfo {
        let mac = self.mac.unwrap_or_else(|| default_mac(appliance, nic));
        let mtu = match (&self.kind, self.mtu) {
            (NetKind::Fd { .. }, Some(chosen)) => chosen,
            (NetKind::Tap { .. } | NetKind::User, Some(chosen)) => chosen.min(mtu),
            (_, None) => mtu,
        };
        NicInfo {
            mac: mac.0,
            mtu: mtu.clamp(*MTU_BYTES.start(), *MTU_BYTES.end()),
            offloads: offloads.bits(),
            ipv4: self.ipv4(),
            reserved: 0,
            ipv6: self.ipv6(),
        }
    }

    fn ipv4(&self) -> Ipv4Config {
        self.ip.as_ref().map_or_else(Ipv4Config::default, |ip| Ipv4Config {
            address: ip.addr().octets(),
            gateway: self.gateway.map_or([0; 4], |address| address.octets()),
            dns: self.dns.map_or([0; 4], |address| address.octets()),
            prefix: ip.prefix_len(),
            flags: IP_STATIC,
            reserved: [0; 2],
        })
    }

    fn ipv6(&self) -> Ipv6Config {
        self.ip6.as_ref().map_or_else(Ipv6Config::default, |ip| Ipv6Config {
            address: ip.addr().octets(),
            gateway: self.gateway6.map_or([0; 16], |address| address.octets()),
            dns: self.dns6.map_or([0; 16], |address| address.octets()),
            prefix: ip.prefix_len(),
            flags: IP_STATIC,
            reserved: [0; 6],
        })
    }
}

#[cfg(test)]
mod tests;
