//! What can go wrong before the helper runs.

use core::net::SocketAddr;
use std::io;

use crate::net::reach::ResolveError;
use crate::net::rules::Publish;

/// Why a `user` network could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UserNetError {
    /// A port could not be bound.
    #[error("cannot publish {}: {}", .publish.host, advice(.source, &.publish.host))]
    Publish {
        /// The rule.
        publish: Publish,
        /// The host's reason.
        source: io::Error,
    },
    /// A name in a rule could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// There is no way to ping for somebody without being root.
    #[error("--allow ping:... is for tap and fd; over a `user` network only the gateway answers pings")]
    Ping,
    /// DNS is allowed and the host has no resolver.
    #[error("--allow dns: found no nameserver in /etc/resolv.conf; add one, or leave the rule out")]
    NoResolver,
    /// DNS is allowed and the host's resolver is not known.
    #[error("--allow dns: cannot read /etc/resolv.conf: {0}")]
    ResolvConf(#[source] io::Error),
}

fn advice(source: &io::Error, host: &SocketAddr) -> String {
    let kind = source.kind();
    if kind == io::ErrorKind::AddrInUse {
        return "address in use; choose another host port, or 0 for any free one".to_owned();
    }
    if kind == io::ErrorKind::PermissionDenied && host.port() < 1024 {
        return "permission denied; ports below 1024 need privileges, choose a higher one".to_owned();
    }
    if kind == io::ErrorKind::AddrNotAvailable {
        return format!("this machine has no address {}", host.ip());
    }
    source.to_string()
}
