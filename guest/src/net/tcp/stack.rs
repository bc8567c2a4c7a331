//! TCP's part of the stack: segments to connections, and what applications do with connections.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Poll, Waker};
use core::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp::{RecvError, State};
use smoltcp::wire::{IpListenEndpoint, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr};

use super::connection::{
    Buffers, Connection, ConnectionId, HANDSHAKE_TIMEOUT, LINGER_TIMEOUT, Owner, Verdict,
};
use super::listener::{ListenOptions, Listener};
use super::table::{Flow, Table};
use crate::net::Error;
use crate::net::hash::Keyed;
use crate::net::nic::Nic;
use crate::net::packet::{Packet, Tuple};
use crate::net::sorted::SortedMap;
use crate::net::stack::{Stack, add_waker};
use crate::net::udp::free_port;
use crate::time::Instant;

/// Segments one connection may send before the next has its turn.
const BURST: usize = 8;
/// Pause before a connection is looked at again that wants to go on but gets nowhere, and how often it doubles.
///
/// smoltcp has such states. A peer that closes its window and then acknowledges our FIN leaves a window probe behind that is
/// due for ever: left alone, it would send the same segment in an endless loop.
const STUCK_PAUSE: Duration = Duration::from_millis(1);
const MAX_STUCK_DOUBLINGS: u32 = 15;
/// Hop limit of what we send without smoltcp.
const HOP_LIMIT: u8 = 64;

/// Connections and listeners.
#[derive(Debug)]
pub(in crate::net) struct TcpState {
    pub(in crate::net) table: Table,
    listeners: SortedMap<u16, Listener>,
}

impl TcpState {
    pub(in crate::net) fn new(hash: Keyed) -> Self {
        Self { table: Table::new(hash), listeners: SortedMap::new() }
    }

    /// Number of handshakes under way on behalf of listeners.
    pub(in crate::net) fn handshakes(&self) -> usize {
        self.listeners.iter().map(|(_, listener)| listener.handshakes.len()).sum()
    }

    fn remove(&mut self, id: ConnectionId) {
        if let Some(connection) = self.table.get(id) {
            let port = connection.tuple.local_port;
            if matches!(connection.owner, Owner::Handshake | Owner::Listener)
                && let Some(listener) = self.listeners.get_mut(port)
            {
                listener.forget(id);
            }
        }
        self.table.remove(id);
    }
}

impl Stack {
    /// Takes in a segment to an address of ours. `None` if it was dropped.
    pub(in crate::net) fn receive_tcp(
        &mut self,
        nic: usize,
        packet: &Packet<'_>,
        now: Instant,
    ) -> Option<()> {
        let segment = packet.tcp()?;
        let tuple = Tuple {
            local: packet.destination,
            local_port: segment.dst_port(),
            remote: packet.source,
            remote_port: segment.src_port(),
        };
        if tuple.local_port == 0 || tuple.remote_port == 0 {
            return None;
        }
        let opening = segment.syn() && !segment.ack() && !segment.rst() && !segment.fin();
        let id = match self.tcp.table.flow(&tuple) {
            Some(Flow::Connection(id)) => id,
            Some(Flow::TimeWait(_)) if !opening => {
                self.answer_late(nic, &tuple, &segment, now);
                return Some(());
            }
            _ if opening
                && self.tcp.listeners.get(tuple.local_port).is_some_and(|to| to.accepts(tuple.local)) =>
            {
                self.open(nic, tuple, now)?
            }
            _ => {
                self.refuse(nic, packet, now);
                return Some(());
            }
        };
        let nic = self.nics.get_mut(nic)?;
        let connection = self.tcp.table.get(id)?;
        connection.heard = now;
        nic.ingress(packet.bytes, &mut connection.sockets, now);
        self.tcp.table.mark_dirty(id);
        Some(())
    }

    /// Looks at every connection that has something to do, in turn, as long as there is room to send. Says whether there
    /// was any.
    pub(in crate::net) fn poll_tcp(&mut self, now: Instant) -> bool {
        self.tcp.table.fire(now);
        let mut worked = false;
        loop {
            let mut progress = false;
            for _ in 0..self.tcp.table.dirty_len() {
                let Some(id) = self.tcp.table.pop_dirty() else { break };
                progress |= self.serve(id, now);
            }
            if !progress {
                return worked;
            }
            worked = true;
        }
    }

    /// Listens on `port`.
    pub(in crate::net) fn tcp_listen(
        &mut self,
        address: Option<IpAddr>,
        port: u16,
        options: ListenOptions,
    ) -> Result<u16, Error> {
        let listeners = &mut self.tcp.listeners;
        let port =
            if port == 0 { free_port(self.random, |port| listeners.get(port).is_none())? } else { port };
        if listeners.get(port).is_some() {
            return Err(Error::AddressInUse);
        }
        listeners.insert(port, Listener::new(address, options));
        Ok(port)
    }

    /// Stops listening. Whoever has not been accepted gets a reset.
    #[cold]
    pub(in crate::net) fn tcp_unlisten(&mut self, port: u16) {
        let Some(listener) = self.tcp.listeners.remove(port) else { return };
        let handshakes = listener.handshakes.into_iter().map(|(_, id)| id);
        for id in handshakes.chain(listener.ready) {
            self.tcp_release(id, true);
        }
    }

    /// The next connection of a listening port.
    pub(in crate::net) fn tcp_accept(&mut self, port: u16, waker: &Waker) -> Poll<(ConnectionId, Tuple)> {
        let Some(listener) = self.tcp.listeners.get_mut(port) else { return Poll::Pending };
        while let Some(id) = listener.ready.pop_front() {
            if let Some(connection) = self.tcp.table.get(id) {
                connection.owner = Owner::Application(1);
                return Poll::Ready((id, connection.tuple));
            }
        }
        add_waker(&mut listener.waiting, waker);
        Poll::Pending
    }

    /// Starts a connection to `remote`.
    pub(in crate::net) fn tcp_connect(
        &mut self,
        remote: SocketAddr,
        buffers: Buffers,
    ) -> Result<(ConnectionId, Tuple), Error> {
        if remote.port() == 0 || remote.ip().is_multicast() {
            return Err(Error::InvalidAddress);
        }
        let (nic, local) = self.route(remote.ip())?;
        let now = self.now;
        let tuple = |local_port| Tuple { local, local_port, remote: remote.ip(), remote_port: remote.port() };
        let port = free_port(self.random, |port| self.tcp.table.flow(&tuple(port)).is_none())?;
        let tuple = tuple(port);
        let id = self
            .tcp
            .table
            .insert(tuple, |id| Connection::new(id, nic, tuple, Owner::Application(1), buffers, now))
            .ok_or(Error::OutOfMemory)?;
        let seed = (self.random)();
        let (Some(nic), Some(connection)) = (self.nics.get_mut(nic), self.tcp.table.get(id)) else {
            return Err(Error::NoDevice);
        };
        nic.reseed(seed, now);
        if connection.socket().connect(nic.context(), tuple.remote(), tuple.local()).is_err() {
            self.tcp.remove(id);
            return Err(Error::InvalidAddress);
        }
        self.tcp.table.mark_dirty(id);
        Ok((id, tuple))
    }

    /// Whether the handshake that [`Self::tcp_connect`] started has ended, and how.
    pub(in crate::net) fn tcp_connected(
        &mut self,
        id: ConnectionId,
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        let Some(connection) = self.tcp.table.get(id) else { return Poll::Ready(Err(Error::NotConnected)) };
        let state = connection.socket().state();
        if matches!(state, State::SynSent | State::SynReceived) {
            connection.socket().register_send_waker(waker);
            return Poll::Pending;
        }
        let failed = state == State::Closed;
        Poll::Ready(if failed { Err(connection.error.unwrap_or(Error::Refused)) } else { Ok(()) })
    }

    /// Reads what has arrived: at least a byte, or 0 at the end of the stream or for an empty buffer.
    pub(in crate::net) fn tcp_read(
        &mut self,
        id: ConnectionId,
        buffer: &mut [u8],
        waker: &Waker,
    ) -> Poll<Result<usize, Error>> {
        let Some(connection) = self.tcp.table.get(id) else { return Poll::Ready(Err(Error::NotConnected)) };
        match connection.socket().recv_slice(buffer) {
            Ok(0) if !buffer.is_empty() => {
                connection.socket().register_recv_waker(waker);
                Poll::Pending
            }
            Ok(size_bytes) => {
                // The peer may want to hear that there is room again.
                self.tcp.table.mark_dirty(id);
                Poll::Ready(Ok(size_bytes))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) if connection.peer_finished => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(connection.closed_error())),
        }
    }

    /// Takes bytes to send: at least one, unless `bytes` is empty.
    pub(in crate::net) fn tcp_write(
        &mut self,
        id: ConnectionId,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, Error>> {
        let now = self.now;
        let Some(connection) = self.tcp.table.get(id) else { return Poll::Ready(Err(Error::NotConnected)) };
        let idle = connection.socket().send_queue() == 0;
        match connection.socket().send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                connection.socket().register_send_waker(waker);
                Poll::Pending
            }
            Ok(size_bytes) => {
                if idle {
                    connection.waiting_since = now;
                }
                self.tcp.table.mark_dirty(id);
                Poll::Ready(Ok(size_bytes))
            }
            Err(_) if connection.socket().state() == State::Closed => {
                Poll::Ready(Err(connection.closed_error()))
            }
            Err(_) => Poll::Ready(Err(Error::NotConnected)),
        }
    }

    /// Ends our half of the stream, after what has been written.
    pub(in crate::net) fn tcp_shutdown(&mut self, id: ConnectionId) {
        if let Some(connection) = self.tcp.table.get(id) {
            connection.socket().close();
            self.tcp.table.mark_dirty(id);
        }
    }

    /// Whether the peer has acknowledged everything, our end of the stream included.
    pub(in crate::net) fn tcp_closed(&mut self, id: ConnectionId, waker: &Waker) -> Poll<Result<(), Error>> {
        let Some(connection) = self.tcp.table.get(id) else { return Poll::Ready(Ok(())) };
        let finished = connection.peer_finished;
        let state = connection.socket().state();
        if matches!(state, State::FinWait2 | State::TimeWait) {
            return Poll::Ready(Ok(()));
        }
        if state == State::Closed {
            let delivered = finished && connection.socket().send_queue() == 0;
            return Poll::Ready(if delivered { Ok(()) } else { Err(connection.closed_error()) });
        }
        connection.socket().register_send_waker(waker);
        Poll::Pending
    }

    /// Gives one handle of a connection back. With the last one the connection ends: in order, if everything that arrived
    /// was read, or with a reset, if not or if `abort` says so.
    pub(in crate::net) fn tcp_release(&mut self, id: ConnectionId, abort: bool) {
        let deadline = self.now.saturating_add(LINGER_TIMEOUT);
        let Some(connection) = self.tcp.table.get(id) else { return };
        if let Owner::Application(handles @ 2..) = connection.owner {
            connection.owner = Owner::Application(handles - 1);
            return;
        }
        connection.owner = Owner::Nobody;
        connection.deadline = deadline;
        let socket = connection.socket();
        let opening = matches!(socket.state(), State::SynSent | State::SynReceived);
        if abort || opening || socket.recv_queue() > 0 {
            socket.abort();
        } else {
            socket.close();
        }
        self.tcp.table.mark_dirty(id);
    }

    /// Gives a connection a second handle.
    pub(in crate::net) fn tcp_split(&mut self, id: ConnectionId) {
        if let Some(connection) = self.tcp.table.get(id)
            && let Owner::Application(handles) = connection.owner
        {
            connection.owner = Owner::Application(handles.saturating_add(1));
        }
    }

    /// Changes a connection's options.
    pub(in crate::net) fn tcp_configure(
        &mut self,
        id: ConnectionId,
        nodelay: Option<bool>,
        keep_alive: Option<Option<Duration>>,
    ) {
        let now = self.now;
        let Some(connection) = self.tcp.table.get(id) else { return };
        if let Some(nodelay) = nodelay {
            connection.socket().set_nagle_enabled(!nodelay);
        }
        if let Some(interval) = keep_alive {
            // Silence counts from now: there was no reason for the peer to speak before.
            connection.heard = now;
            connection.socket().set_keep_alive(interval.map(Into::into));
        }
        self.tcp.table.mark_dirty(id);
    }

    /// Makes the connection that a SYN asks for. `None` if it must ask again.
    fn open(&mut self, nic: usize, tuple: Tuple, now: Instant) -> Option<ConnectionId> {
        let listener = self.tcp.listeners.get_mut(tuple.local_port)?;
        let buffers = listener.options.buffers;
        let evicted = listener.make_room(now).ok()?;
        if let Some(evicted) = evicted {
            self.tcp.remove(evicted);
        }
        let id = self
            .tcp
            .table
            .insert(tuple, |id| Connection::new(id, nic, tuple, Owner::Handshake, buffers, now))?;
        let endpoint = IpListenEndpoint { addr: Some(tuple.local.into()), port: tuple.local_port };
        let listening = self.tcp.table.get(id)?.socket().listen(endpoint).is_ok();
        if !listening {
            self.tcp.table.remove(id);
            return None;
        }
        if let Some(listener) = self.tcp.listeners.get_mut(tuple.local_port) {
            listener.handshakes.push((now, id));
        }
        self.tcp.table.arm(id, now.saturating_add(HANDSHAKE_TIMEOUT));
        let seed = (self.random)();
        self.nics.get_mut(nic)?.reseed(seed, now);
        Some(id)
    }

    /// Looks at one connection: lets it send, and draws the consequences. Says whether anything happened.
    fn serve(&mut self, id: ConnectionId, now: Instant) -> bool {
        let Some(connection) = self.tcp.table.get(id) else { return false };
        let Some(nic) = self.nics.get_mut(connection.nic) else { return false };
        connection.check_time(now);
        let sent = send_burst(nic, connection, now);
        let due = nic.poll_at(&connection.sockets, now);
        match connection.settle(due, now) {
            Verdict::Remove => {
                self.tcp.remove(id);
                return true;
            }
            Verdict::TimeWait => {
                self.tcp.table.retire(id, now);
                return true;
            }
            Verdict::Promote => self.promote(id),
            Verdict::Keep => {}
        }
        let Some(connection) = self.tcp.table.get(id) else { return true };
        let Some(nic) = self.nics.get_mut(connection.nic) else { return true };
        // Settling may have changed what the socket wants.
        let due = nic.poll_at(&connection.sockets, now);
        if due > now {
            connection.stuck = 0;
            let at = due.min(connection.deadline);
            self.tcp.table.arm(id, at);
        } else if sent == Burst::Some || (sent == Burst::Nothing && !nic.link.has_room()) {
            self.tcp.table.mark_dirty(id);
        } else {
            connection.stuck = connection.stuck.saturating_add(1);
            let pause = STUCK_PAUSE * (1 << connection.stuck.min(MAX_STUCK_DOUBLINGS));
            self.tcp.table.arm(id, now.saturating_add(pause));
        }
        sent != Burst::Nothing
    }

    /// Hands a connection whose handshake is complete to its listener.
    fn promote(&mut self, id: ConnectionId) {
        let Some(connection) = self.tcp.table.get(id) else { return };
        let Some(listener) = self.tcp.listeners.get_mut(connection.tuple.local_port) else { return };
        listener.handshakes.retain(|(_, other)| *other != id);
        connection.owner = Owner::Listener;
        connection.deadline = Instant::FAR_FUTURE;
        listener.ready.push_back(id);
        let waiting: Vec<Waker> = listener.waiting.drain(..).collect();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Acknowledges what a peer repeats of a connection that has ended: its FIN, if our answer was lost. It has acknowledged
    /// all of ours, so its own numbers are the answer's.
    #[cold]
    fn answer_late(&mut self, nic: usize, tuple: &Tuple, segment: &TcpPacket<&[u8]>, now: Instant) {
        if segment.rst() || !segment.fin() || !segment.ack() {
            return;
        }
        let Some(nic) = self.nics.get_mut(nic) else { return };
        let answer = TcpRepr {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            control: TcpControl::None,
            seq_number: segment.ack_number(),
            ack_number: Some(segment.seq_number() + segment.segment_len()),
            window_len: 0,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let size_bytes = answer.buffer_len();
        let ip = IpRepr::new(tuple.local.into(), tuple.remote.into(), IpProtocol::Tcp, size_bytes, HOP_LIMIT);
        let checks = ChecksumCapabilities::default();
        nic.link.send_packet(ip.buffer_len(), now, |out| {
            let (header, body) = out.split_at_mut(ip.header_len());
            ip.emit(header, &checks);
            answer.emit(&mut TcpPacket::new_unchecked(body), &ip.src_addr(), &ip.dst_addr(), &checks);
        });
    }
}

/// What a connection sent when it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burst {
    Nothing,
    Some,
    /// The same segment twice.
    Repeats,
}

fn send_burst(nic: &mut Nic, connection: &mut Connection, now: Instant) -> Burst {
    for sent in 0..BURST {
        if !nic.egress(&mut connection.sockets, now) {
            return if sent == 0 { Burst::Nothing } else { Burst::Some };
        }
        if nic.link.repeats {
            return Burst::Repeats;
        }
    }
    Burst::Some
}
