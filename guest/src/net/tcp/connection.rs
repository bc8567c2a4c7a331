//! One TCP connection: a smoltcp socket alone in its set, and what this kernel knows about it.

use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::wire::TcpPacket;

use crate::net::Error;
use crate::net::nic::Nic;
use crate::net::packet::Tuple;
use crate::time::Instant;

/// How long a peer may take to finish the handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an unanswered connection attempt lasts.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that its owner has dropped may take to end.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long data may stay unacknowledged by a silent peer (RFC 9293, section 3.8.3, wants at least 100 s).
const STALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Keep-alive probes that may stay unanswered.
const KEEP_ALIVE_PROBES: u32 = 5;

/// How often a connection attempt starts anew because the peer takes it for an older connection.
const MAX_RECALLS: u8 = 3;

/// Smallest and largest socket buffer.
const MIN_BUFFER_BYTES: usize = 2 * 1024;
const MAX_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// What a connection takes besides its buffers, roughly.
const RECORD_BYTES: usize = 2 * 1024;

/// Buffer sizes of a connection, in bytes. Values outside 2 KiB to 16 MiB are moved to the nearest of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Data received and not yet read: also the largest window offered to the peer.
    pub receive_bytes: usize,
    /// Data written and not yet acknowledged by the peer.
    pub send_bytes: usize,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { receive_bytes: 32 * 1024, send_bytes: 32 * 1024 }
    }
}

impl Buffers {
    /// What a connection with these buffers takes from the heap, its own records included.
    pub(super) fn held_bytes(self) -> usize {
        RECORD_BYTES + clamp(self.receive_bytes) + clamp(self.send_bytes)
    }
}

fn clamp(size_bytes: usize) -> usize {
    size_bytes.clamp(MIN_BUFFER_BYTES, MAX_BUFFER_BYTES)
}

/// Names a connection. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::net) struct ConnectionId {
    pub(super) slot: usize,
    pub(super) serial: u64,
}

/// Who is responsible for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The handshake is under way on behalf of the listener on the local port.
    Handshake,
    /// It waits to be accepted there.
    Listener,
    /// The application holds a stream. The number of its handles: one, or two after a split.
    Application(u8),
    /// Nobody: it ends by itself.
    Nobody,
}

/// What is to be done with a connection after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Keep,
    /// The handshake is complete.
    Promote,
    /// It is over and leaves nothing behind.
    Remove,
    /// It is over on our side, and late segments of the peer may still arrive.
    TimeWait,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) nic: usize,
    pub(super) tuple: Tuple,
    pub(super) owner: Owner,
    pub(super) buffers: Buffers,
    pub(super) sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// In the queue of connections to look at.
    pub(super) dirty: bool,
    /// When its timer fires, if it is armed.
    pub(super) armed: Option<Instant>,
    /// When it is given up, whatever it waits for.
    pub(super) deadline: Instant,
    /// When the peer was last heard of, and since when data has been waiting for its acknowledgement.
    pub(super) heard: Instant,
    pub(super) waiting_since: Instant,
    /// How often more it may call again before its timer says so.
    recalls: u8,
    /// How often in a row it wanted to go on without getting anywhere.
    pub(super) stuck: u32,
    /// The peer has sent all it will.
    pub(super) peer_finished: bool,
    /// Why we gave it up, if we did.
    pub(super) error: Option<Error>,
}

impl Connection {
    /// A closed connection, or `None` if there is no memory for its buffers.
    pub(super) fn new(
        id: ConnectionId,
        nic: usize,
        tuple: Tuple,
        owner: Owner,
        buffers: Buffers,
        now: Instant,
    ) -> Option<Self> {
        let mut socket = Socket::new(buffer(buffers.receive_bytes)?, buffer(buffers.send_bytes)?);
        // CUBIC in smoltcp 0.14 needs floating-point functions that only std has.
        socket.set_congestion_control(CongestionControl::Reno);
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        let timeout = if owner == Owner::Handshake { HANDSHAKE_TIMEOUT } else { CONNECT_TIMEOUT };
        Some(Self {
            id,
            nic,
            tuple,
            owner,
            buffers,
            sockets,
            handle,
            dirty: false,
            armed: None,
            deadline: now.saturating_add(timeout),
            heard: now,
            waiting_since: now,
            recalls: MAX_RECALLS,
            stuck: 0,
            peer_finished: false,
            error: None,
        })
    }

    pub(super) fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    /// Whether `segment` answers our SYN with an acknowledgement of something else: the peer remembers an older connection
    /// between the same ends (RFC 9293, section 3.10.7.4).
    pub(super) fn takes_for_another(&mut self, segment: &TcpPacket<&[u8]>) -> bool {
        let calling = self.socket().state() == State::SynSent;
        calling && segment.ack() && !segment.syn() && !segment.rst()
    }

    /// Starts a connection attempt anew at once, as Linux does, rather than when its timer says so a second later
    /// (`tcp_rcv_synsent_state_process` in net/ipv4/tcp_input.c, Linux 6.12). Only a few times: anybody can forge the reason.
    #[cold]
    pub(super) fn call_again(&mut self, nic: &mut Nic, seed: u64, now: Instant) {
        let Some(left) = self.recalls.checked_sub(1) else { return };
        self.recalls = left;
        let tuple = self.tuple;
        self.socket().abort();
        if nic.connect(self.socket(), &tuple, seed, now).is_err() {
            self.abort(Error::Refused);
        }
    }

    /// Gives the connection up: the peer gets a reset, the owner gets `error`.
    pub(super) fn abort(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.socket().abort();
    }

    /// Gives the connection up if its time has run out or its peer has gone silent.
    pub(super) fn check_time(&mut self, now: Instant) {
        let (heard, waiting_since) = (self.heard, self.waiting_since);
        let socket = self.socket();
        if socket.state() == State::Closed {
            return;
        }
        let stalled =
            socket.send_queue() > 0 && now.duration_since(heard.max(waiting_since)) >= STALL_TIMEOUT;
        let keep_alive = socket.keep_alive().map(|interval| Duration::from(interval) * KEEP_ALIVE_PROBES);
        let dead = keep_alive.is_some_and(|silence| now.duration_since(heard) >= silence);
        if stalled || dead || now >= self.deadline {
            self.abort(Error::TimedOut);
        }
    }

    /// Draws the consequences of the socket's state. `due` is when smoltcp wants to be called again.
    pub(super) fn settle(&mut self, due: Instant, now: Instant) -> Verdict {
        let socket = self.socket();
        let state = socket.state();
        // smoltcp forgets the peer's address once there is nothing more to say to it.
        let over = matches!(state, State::Closed | State::Listen) && socket.remote_endpoint().is_none();
        let unread = socket.recv_queue() > 0;
        let finished = matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        self.peer_finished |= finished;
        let owned = matches!(self.owner, Owner::Application(_) | Owner::Listener);
        if owned && !matches!(state, State::SynSent | State::SynReceived) {
            self.deadline = Instant::FAR_FUTURE;
        }
        match self.owner {
            Owner::Handshake if matches!(state, State::Established | State::CloseWait) => Verdict::Promote,
            Owner::Handshake | Owner::Listener if over => Verdict::Remove,
            // An application that keeps a closed stream keeps its data, too.
            Owner::Application(_) | Owner::Handshake | Owner::Listener => Verdict::Keep,
            Owner::Nobody if over => Verdict::Remove,
            Owner::Nobody if state == State::Closed && now >= self.deadline => Verdict::Remove,
            // The last acknowledgement has left; only the timer of TIME-WAIT is still running.
            Owner::Nobody if state == State::TimeWait && !soon(due, now) => Verdict::TimeWait,
            Owner::Nobody => {
                // Nobody will read what still comes in.
                if unread && state != State::Closed {
                    self.abort(Error::Reset);
                }
                Verdict::Keep
            }
        }
    }

    /// Why an operation on the closed connection fails.
    pub(super) fn closed_error(&self) -> Error {
        self.error.unwrap_or(Error::Reset)
    }
}

/// Whether `due` is nearer than any TIME-WAIT timer.
fn soon(due: Instant, now: Instant) -> bool {
    due < now.saturating_add(Duration::from_secs(2))
}

/// An empty buffer, or `None` if there is no memory.
fn buffer(size_bytes: usize) -> Option<SocketBuffer<'static>> {
    let size_bytes = clamp(size_bytes);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size_bytes).ok()?;
    bytes.resize(size_bytes, 0_u8);
    Some(SocketBuffer::new(bytes))
}
