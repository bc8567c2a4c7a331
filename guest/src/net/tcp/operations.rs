//! What applications do with connections and listeners. Nothing here waits: what cannot be done yet notes a waker.

use core::net::{IpAddr, SocketAddr};
use core::task::{Poll, Waker};
use core::time::Duration;

use smoltcp::socket::tcp::{RecvError, State};

use super::connection::{Buffers, Connection, ConnectionId, LINGER_TIMEOUT, Owner};
use super::listener::{ListenOptions, Listener};
use super::state::TcpState;
use crate::net::Error;
use crate::net::ephemeral::free_port;
use crate::net::packet::Tuple;
use crate::net::stack::{Stack, add_waker};

impl Stack {
    /// Listens on `port`.
    pub(in crate::net) fn tcp_listen(
        &mut self,
        address: Option<IpAddr>,
        port: u16,
        options: ListenOptions,
    ) -> Result<u16, Error> {
        let listeners = &mut self.tcp.listeners;
        let port =
            if port == 0 { free_port((self.random)(), |port| listeners.get(port).is_none())? } else { port };
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

    /// Takes nobody new on a listening port. Whose handshake has begun is still accepted.
    pub(in crate::net) fn tcp_stop_listening(&mut self, port: u16) {
        if let Some(listener) = self.tcp.listeners.get_mut(port) {
            listener.closing = true;
            listener.wake();
        }
    }

    /// The next connection of a listening port.
    pub(in crate::net) fn tcp_accept(
        &mut self,
        port: u16,
        waker: &Waker,
    ) -> Poll<Result<(ConnectionId, Tuple), Error>> {
        let Some(listener) = self.tcp.listeners.get_mut(port) else { return Poll::Pending };
        while let Some(id) = listener.ready.pop_front() {
            if let Some(connection) = self.tcp.table.get(id) {
                connection.owner = Owner::Application(1);
                return Poll::Ready(Ok((id, connection.tuple)));
            }
        }
        if listener.is_done() {
            return Poll::Ready(Err(Error::NotConnected));
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
        let TcpState { table, ports, .. } = &mut self.tcp;
        let port = ports.next(local, remote, |port| table.flow(&tuple(port)).is_none())?;
        let tuple = tuple(port);
        let id = self
            .tcp
            .table
            .insert(tuple, buffers, |id| Connection::new(id, nic, tuple, Owner::Application(1), buffers, now))
            .ok_or(Error::OutOfMemory)?;
        let seed = (self.random)();
        let (Some(nic), Some(connection)) = (self.nics.get_mut(nic), self.tcp.table.get(id)) else {
            return Err(Error::NoDevice);
        };
        if nic.connect(connection.socket(), &tuple, seed, now).is_err() {
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
}
