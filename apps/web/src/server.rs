//! What all connections of a server share.

use core::cell::{Cell, RefCell};
use core::time::Duration;

use crate::date::{DATE_BYTES, http_date};
use crate::host::Host;
use crate::site::Site;

/// What a server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most connections beyond those that are told so with a 503. Still further ones are dropped.
    pub max_refusals: usize,
    /// Longest time from the first byte of a head, or from a new connection, to the head's end.
    pub head: Duration,
    /// Longest silence between two requests.
    pub idle: Duration,
    /// Longest time in which a client takes no byte of an answer.
    pub stall: Duration,
    /// Longest time for which bytes of a request body are read and thrown away.
    pub discard: Duration,
    /// The same after the last answer of a connection: how long the client may take to end its side.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            max_refusals: 50,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            discard: Duration::from_secs(10),
            linger: Duration::from_secs(1),
        }
    }
}

/// A server: a site, a host, and the connections in between. For one thread.
#[derive(Debug)]
pub struct Server<H> {
    pub(crate) host: H,
    pub(crate) site: &'static Site,
    pub(crate) limits: Limits,
    pub(crate) logs: bool,
    connections: Cell<usize>,
    date: RefCell<Option<(u64, [u8; DATE_BYTES])>>,
}

/// The right to serve one connection, or to turn it away politely; gives its place back when dropped.
#[derive(Debug)]
pub struct Admission<'s, H> {
    pub(crate) server: &'s Server<H>,
    /// There is no room: the client shall only be told so.
    pub(crate) is_refusal: bool,
}

impl<H> Server<H> {
    /// A server of `site`. `logs`: whether each request is worth a line.
    pub const fn new(host: H, site: &'static Site, limits: Limits, logs: bool) -> Self {
        Self { host, site, limits, logs, connections: Cell::new(0), date: RefCell::new(None) }
    }

    /// Makes room for a connection. `None` if there are so many that not even a refusal is worth its memory.
    pub fn admit(&self) -> Option<Admission<'_, H>> {
        let Limits { max_connections, max_refusals, .. } = self.limits;
        let connections = self.connections.get();
        (connections < max_connections.saturating_add(max_refusals)).then(|| {
            self.connections.set(connections + 1);
            Admission { server: self, is_refusal: connections >= max_connections }
        })
    }

    /// Number of connections that hold an admission.
    pub fn connections(&self) -> usize {
        self.connections.get()
    }
}

impl<H: Host> Server<H> {
    /// `Date` now. The wall clock costs a hypercall, so it is asked once per second.
    pub(crate) fn date(&self) -> [u8; DATE_BYTES] {
        let second = self.host.now().as_secs();
        let mut cached = self.date.borrow_mut();
        match *cached {
            Some((at, date)) if at == second => date,
            _ => {
                let date = http_date(self.host.unix_seconds());
                *cached = Some((second, date));
                date
            }
        }
    }
}

impl<H> Drop for Admission<'_, H> {
    fn drop(&mut self) {
        let connections = &self.server.connections;
        connections.set(connections.get().saturating_sub(1));
    }
}
