//! What is opened before the helper starts, while an error can still be told to a person.

use core::net::{IpAddr, SocketAddr};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{SocketType, bind, getsockname, listen, socket_with, sockopt};

use super::UserNetError;
use super::connections::{SOCKET_FLAGS, family};
use super::policy::DNS_PORT;
use crate::net::rules::{Protocol, Publish};

/// Connections that wait in the kernel while the helper's table is full.
const BACKLOG: i32 = 1024;

/// A published port and the host socket it is bound to.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) publish: Publish,
    /// The address that the kernel bound: the port is never 0.
    pub(super) bound: SocketAddr,
    pub(super) socket: OwnedFd,
}

impl Published {
    /// Binds the host's side of `publish`.
    pub(super) fn open(publish: &Publish) -> Result<Self, UserNetError> {
        let open = || -> io::Result<(OwnedFd, SocketAddr)> {
            let kind = match publish.protocol {
                Protocol::Tcp => SocketType::STREAM,
                Protocol::Udp => SocketType::DGRAM,
            };
            let socket = socket_with(family(publish.host), kind, SOCKET_FLAGS, None)?;
            if publish.host.is_ipv6() {
                // [::]:80 and 0.0.0.0:80 are two addresses, to be published by two rules.
                sockopt::set_ipv6_v6only(&socket, true)?;
            }
            if publish.protocol == Protocol::Tcp {
                // Connections of a run before may still linger. Accepted sockets inherit the second option.
                sockopt::set_socket_reuseaddr(&socket, true)?;
                sockopt::set_tcp_nodelay(&socket, true)?;
            }
            bind(&socket, &publish.host)?;
            if publish.protocol == Protocol::Tcp {
                listen(&socket, BACKLOG)?;
            }
            let bound = SocketAddr::try_from(getsockname(&socket)?)?;
            Ok((socket, bound))
        };
        let (socket, bound) = open().map_err(|source| UserNetError::Publish { publish: *publish, source })?;
        Ok(Self { publish: *publish, bound, socket })
    }
}

/// This machine's resolver.
pub(super) fn host_resolver() -> Result<SocketAddr, UserNetError> {
    let text = fs::read_to_string("/etc/resolv.conf").map_err(UserNetError::ResolvConf)?;
    first_nameserver(&text).ok_or(UserNetError::NoResolver)
}

/// The first usable `nameserver` of a resolv.conf(5). Link-local servers, whose address needs an interface, are passed over.
fn first_nameserver(text: &str) -> Option<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok())?
        })
        .next()
        .map(|address| SocketAddr::new(address, DNS_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_usable_nameserver_counts() {
        let text = "# nameserver 1.1.1.1\nsearch example.org\nnameserver fe80::1%eth0\n nameserver  192.0.2.1 \nnameserver ::1\n";
        assert_eq!(first_nameserver(text), Some("192.0.2.1:53".parse().unwrap()));
        assert_eq!(first_nameserver("nameserver ::1"), Some("[::1]:53".parse().unwrap()));
        assert_eq!(first_nameserver("nameserver\noptions edns0"), None);
    }

    #[test]
    fn a_busy_port_is_named_with_what_to_do() {
        let first = Published::open(&"0:80".parse().unwrap()).unwrap();
        assert_ne!(first.bound.port(), 0);
        let busy = Publish { host: first.bound, ..first.publish };
        let message = Published::open(&busy).unwrap_err().to_string();
        let expected = format!("cannot publish {}: address in use; choose another host port", first.bound);
        assert!(message.starts_with(&expected), "{message}");
        let error = Published::open(&"192.0.2.1:0:80".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "cannot publish 192.0.2.1:0: this machine has no address 192.0.2.1");
    }
}
