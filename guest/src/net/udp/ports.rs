//! Bound UDP ports and what waits there to be read.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use crate::net::Error;
use crate::net::ephemeral::free_port;
use crate::net::sorted::SortedMap;
use crate::net::stack::{Stack, add_waker};

/// What a port keeps for its reader. What comes beyond is dropped, as UDP may.
const MAX_QUEUED_DATAGRAMS: usize = 256;
const MAX_QUEUED_BYTES: usize = 256 * 1024;
/// Headers of a datagram: IPv4 or IPv6, and UDP.
const IPV4_HEADERS_BYTES: usize = 28;
const IPV6_HEADERS_BYTES: usize = 48;

#[derive(Debug)]
struct Datagram {
    from: SocketAddr,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Port {
    address: Option<IpAddr>,
    queue: VecDeque<Datagram>,
    queued_bytes: usize,
    waiting: Vec<Waker>,
}

/// The bound ports.
#[derive(Debug)]
pub(in crate::net) struct Ports {
    table: SortedMap<u16, Port>,
}

impl Ports {
    pub(in crate::net) fn new() -> Self {
        Self { table: SortedMap::new() }
    }

    pub(in crate::net) fn len(&self) -> usize {
        self.table.len()
    }

    /// Takes in a datagram, and says whether anybody is bound there. Without room it is dropped.
    pub(in crate::net) fn receive(
        &mut self,
        port: u16,
        from: SocketAddr,
        to: IpAddr,
        payload: &[u8],
    ) -> bool {
        let group = to.is_multicast();
        let Some(port) = self.table.get_mut(port) else { return false };
        if port.address.is_some_and(|own| own != to && !group) {
            return false;
        }
        let room = port.queue.len() < MAX_QUEUED_DATAGRAMS
            && port.queued_bytes.saturating_add(payload.len()) <= MAX_QUEUED_BYTES;
        let mut copy = Vec::new();
        if room && copy.try_reserve_exact(payload.len()).is_ok() {
            copy.extend_from_slice(payload);
            port.queued_bytes += copy.len();
            port.queue.push_back(Datagram { from, payload: copy });
            port.waiting.drain(..).for_each(Waker::wake);
        }
        true
    }
}

impl Stack {
    /// Binds `port`, or one that is free if it is 0, and says which.
    pub(in crate::net) fn udp_bind(&mut self, address: Option<IpAddr>, port: u16) -> Result<u16, Error> {
        let random = self.random;
        let table = &mut self.udp.table;
        let port = if port == 0 { free_port(random(), |port| table.get(port).is_none())? } else { port };
        if table.get(port).is_some() {
            return Err(Error::AddressInUse);
        }
        let bound = Port { address, queue: VecDeque::new(), queued_bytes: 0, waiting: Vec::new() };
        table.insert(port, bound);
        Ok(port)
    }

    /// Gives a port back.
    pub(in crate::net) fn udp_unbind(&mut self, port: u16) {
        self.udp.table.remove(port);
    }

    /// The next datagram of a bound port, cut to `buffer`, or `None` after noting `waker`.
    pub(in crate::net) fn udp_receive(
        &mut self,
        port: u16,
        buffer: &mut [u8],
        waker: &Waker,
    ) -> Option<(usize, SocketAddr)> {
        let port = self.udp.table.get_mut(port)?;
        let Some(datagram) = port.queue.pop_front() else {
            add_waker(&mut port.waiting, waker);
            return None;
        };
        port.queued_bytes -= datagram.payload.len();
        let size_bytes = datagram.payload.len().min(buffer.len());
        buffer[..size_bytes].copy_from_slice(&datagram.payload[..size_bytes]);
        Some((size_bytes, datagram.from))
    }

    /// Sends a datagram. `Ok(false)` if the transmit queue is full.
    pub(in crate::net) fn udp_send(
        &mut self,
        port: u16,
        payload: &[u8],
        to: SocketAddr,
    ) -> Result<bool, Error> {
        if to.port() == 0 {
            return Err(Error::InvalidAddress);
        }
        let (index, source) = self.route(to.ip())?;
        let bound = self.udp.table.get(port).and_then(|port| port.address);
        let source = bound.filter(|own| own.is_ipv4() == source.is_ipv4()).unwrap_or(source);
        let now = self.now;
        let nic = self.nics.get_mut(index).ok_or(Error::NoDevice)?;
        let headers = if to.is_ipv4() { IPV4_HEADERS_BYTES } else { IPV6_HEADERS_BYTES };
        if payload.len() + headers > nic.link.mtu {
            return Err(Error::TooLong);
        }
        if !nic.link.has_room() {
            return Ok(false);
        }
        nic.send_udp((source, port), (to.ip(), to.port()), payload.len(), now, |out| {
            out.copy_from_slice(payload);
        });
        Ok(true)
    }
}
