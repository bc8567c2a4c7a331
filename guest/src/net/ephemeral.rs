//! Ephemeral ports: which one a socket gets whose owner does not care.

use core::hash::BuildHasher as _;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use super::Error;
use super::hash::Keyed;

/// Ports that are given out (RFC 6335, section 6).
const PORTS: RangeInclusive<u16> = 49_152..=65_535;
/// Number of counters. Destinations that share one skip each other's ports.
const COUNTERS: usize = 64;

/// A port that `is_free`: the one that `first` stands for, or the next one after it.
pub(super) fn free_port(first: u64, is_free: impl Fn(u16) -> bool) -> Result<u16, Error> {
    free_port_after(first, is_free).map(|(port, _)| port)
}

/// The same, and how many were passed over.
fn free_port_after(first: u64, is_free: impl Fn(u16) -> bool) -> Result<(u16, u16), Error> {
    let count = PORTS.end() - PORTS.start() + 1;
    let first = u16::try_from(first % u64::from(count)).unwrap_or(0);
    (0..count)
        .map(|step| (PORTS.start() + (first + step) % count, step))
        .find(|(port, _)| is_free(*port))
        .ok_or(Error::AddressInUse)
}

/// The ports of connections that we open. Each destination gets one after the other, so that a port comes back as late as
/// possible: who ended a connection remembers its two ends for a minute. Where the sequence begins and how far it has come is
/// for other destinations to guess (RFC 6056, section 3.3.4).
#[derive(Debug)]
pub(super) struct PortSequences {
    hash: Keyed,
    given: [u16; COUNTERS],
}

impl PortSequences {
    pub(super) fn new(hash: Keyed) -> Self {
        Self { hash, given: [0; COUNTERS] }
    }

    /// The next port that `is_free` for a connection from `local` to `remote`.
    pub(super) fn next(
        &mut self,
        local: IpAddr,
        remote: SocketAddr,
        is_free: impl Fn(u16) -> bool,
    ) -> Result<u16, Error> {
        let start = self.hash.hash_one((local, remote));
        let counter = usize::try_from(start >> 32).unwrap_or(0) % COUNTERS;
        let given = self.given.get_mut(counter).ok_or(Error::AddressInUse)?;
        let (port, passed) = free_port_after((start & 0xffff) + u64::from(*given), is_free)?;
        *given = given.wrapping_add(passed + 1);
        Ok(port)
    }
}
