//! What all connections of a server share.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use embedded_io_async::Write as _;

use crate::buffer::IDLE_BYTES;
use crate::choose::Reply;
use crate::date::{DATE_BYTES, http_date};
use crate::host::Host;
use crate::reply::Envelope;
use crate::site::Site;
use crate::status::Status;

/// What a server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections at a time. Further ones get a 503.
    pub max_connections: usize,
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

/// The right to serve one connection; gives its place back when dropped.
#[derive(Debug)]
pub struct Admission<'s, H> {
    pub(crate) server: &'s Server<H>,
}

impl<H> Server<H> {
    /// A server of `site`. `logs`: whether each request is worth a line.
    pub const fn new(host: H, site: &'static Site, limits: Limits, logs: bool) -> Self {
        Self { host, site, limits, logs, connections: Cell::new(0), date: RefCell::new(None) }
    }

    /// Makes room for a connection. `None` if there are as many as allowed.
    pub fn admit(&self) -> Option<Admission<'_, H>> {
        let connections = self.connections.get();
        (connections < self.limits.max_connections).then(|| {
            self.connections.set(connections + 1);
            Admission { server: self }
        })
    }

    /// Number of connections being served.
    pub fn connections(&self) -> usize {
        self.connections.get()
    }
}

impl<H: Host> Server<H> {
    /// Turns a connection away, as far as one write goes.
    pub async fn refuse(&self, mut stream: H::Stream) {
        let reply = Reply::Error(Status::ServiceUnavailable);
        let mut answer = Vec::with_capacity(IDLE_BYTES);
        reply
            .write(&Envelope { site: self.site, date: &self.date(), connection: Some("close") }, &mut answer);
        answer.extend_from_slice(reply.body());
        // A new connection's send buffer takes this at once. If it does not, the stream is dropped all the same.
        let _ = self.host.timeout(Duration::ZERO, stream.write(&answer)).await;
    }

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
