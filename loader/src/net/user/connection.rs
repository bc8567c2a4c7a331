//! One TCP connection: a host socket and an endpoint towards the guest, and the bytes between them.
//!
//! Bytes are read from the host straight into the endpoint's buffer and sent to the host straight out of it. What does not
//! fit stays with its sender, so a slow reader on one side slows the writer on the other. An end of data is passed on as an
//! end of data, a reset as a reset.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use smoltcp::socket::tcp::{RecvError, State};
use smoltcp::time::{Duration, Instant};

use super::agenda::{Agenda, Name, Thing};
use super::packet::FlowKey;
use super::stack::{Endpoint, Stack};

/// How long the guest may take to answer a call.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a host may take to answer the guest's call.
const HOST_PATIENCE: Duration = Duration::from_secs(20);
/// Pause before a starting guest is called again.
const REDIAL: Duration = Duration::from_millis(20);
/// How long a guest may take to acknowledge the end of a connection.
const FAREWELL: Duration = Duration::from_secs(120);
/// Longest SYN that is kept until the host answers: IPv6 and TCP headers with all options.
pub(super) const MAX_SYN_BYTES: usize = 40 + 60;
/// Rounds of reading and writing before others get their turn.
const ROUNDS: usize = 8;

/// How far a connection has come.
#[derive(Debug)]
enum Stage {
    /// The guest called; the host has not answered yet. The guest's SYN is answered when it has.
    HostCalled { syn: Box<[u8]> },
    /// A host called; the guest has not answered yet.
    GuestCalled,
    /// The guest refused, but may only be starting: it is called again at the deadline, until `give_up`.
    Redial { give_up: Instant },
    /// Both ends talk.
    Open,
}

/// What became of a connection that was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// It waits for an event or a timer.
    Waits,
    /// It has more to do.
    More,
    /// It is over.
    Over,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) name: Name,
    pub(super) key: FlowKey,
    host: OwnedFd,
    endpoint: Endpoint,
    stage: Stage,
    /// When the stage has lasted too long.
    deadline: Option<Instant>,
    give_up: Instant,
    /// The host socket may have data, or room, until it says otherwise.
    readable: bool,
    writable: bool,
    /// The host socket reported an end or an error: a short read is not the last one.
    hung_up: bool,
    /// The host's end of data has gone to the guest, and the other way round.
    host_finished: bool,
    guest_finished: bool,
    /// The host socket failed.
    host_dead: bool,
    queued: bool,
    scheduled: Option<Instant>,
}

impl Connection {
    /// A connection that a host made to a published port: calls the guest.
    pub(super) fn inbound(name: Name, key: FlowKey, host: OwnedFd, stack: &mut Stack) -> Self {
        let mut endpoint = stack.endpoint();
        stack.call(&mut endpoint, key);
        Self::new(name, key, host, endpoint, Stage::GuestCalled, stack.now + PATIENCE)
    }

    /// A connection that the guest makes: `host` is on its way to the target, `syn` is the guest's first segment.
    pub(super) fn outbound(name: Name, key: FlowKey, host: OwnedFd, syn: &[u8], stack: &mut Stack) -> Self {
        let endpoint = stack.endpoint();
        Self::new(name, key, host, endpoint, Stage::HostCalled { syn: syn.into() }, stack.now + HOST_PATIENCE)
    }

    fn new(name: Name, key: FlowKey, host: OwnedFd, endpoint: Endpoint, stage: Stage, deadline: Instant) -> Self {
        Self {
            name,
            key,
            host,
            endpoint,
            stage,
            deadline: Some(deadline),
            give_up: deadline,
            readable: false,
            writable: false,
            hung_up: false,
            host_finished: false,
            guest_finished: false,
            host_dead: false,
            queued: false,
            scheduled: None,
        }
    }

    /// Puts the connection into the work queue.
    pub(super) fn queue(&mut self, agenda: &mut Agenda) {
        agenda.queue(&mut self.queued, Thing::Connection(self.name));
    }

    /// Its timer has come up.
    pub(super) fn wake(&mut self, agenda: &mut Agenda) {
        self.scheduled = None;
        self.queue(agenda);
    }

    /// Takes what epoll said about the host socket.
    pub(super) fn note(&mut self, events: EventFlags) {
        let ended = events.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        self.readable |= ended || events.contains(EventFlags::IN);
        self.writable |= events.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR);
        self.hung_up |= ended;
    }

    /// Takes a segment of the guest.
    pub(super) fn receive(&mut self, stack: &mut Stack, packet: &[u8], resets: bool) {
        match self.stage {
            // Another copy of the SYN tells nothing new; a reset ends the wait.
            Stage::HostCalled { .. } if resets => self.deadline = Some(stack.now),
            Stage::HostCalled { .. } | Stage::Redial { .. } => {}
            Stage::GuestCalled | Stage::Open => stack.receive(&mut self.endpoint, packet),
        }
    }

    /// Does what there is to do.
    pub(super) fn serve(&mut self, stack: &mut Stack, agenda: &mut Agenda) -> Served {
        self.queued = false;
        let served = match self.stage {
            Stage::HostCalled { .. } => self.await_host(stack),
            Stage::Redial { give_up } => self.redial(stack, give_up),
            Stage::GuestCalled | Stage::Open => self.relay(stack),
        };
        match served {
            Served::More => self.queue(agenda),
            Served::Waits => self.schedule(stack, agenda),
            Served::Over => {}
        }
        served
    }

    /// Ends the connection: what the host has not been told yet, it is told by a reset.
    pub(super) fn close(self, stack: &mut Stack) {
        if !(self.host_finished && self.guest_finished) {
            // Fails only on a socket that is already dead.
            let _ = sockopt::set_socket_linger(&self.host, Some(core::time::Duration::ZERO));
        }
        stack.put_back(self.endpoint);
    }

    fn schedule(&mut self, stack: &mut Stack, agenda: &mut Agenda) {
        let by_stack = match self.stage {
            Stage::HostCalled { .. } | Stage::Redial { .. } => None,
            Stage::GuestCalled | Stage::Open => stack.deadline(&self.endpoint),
        };
        // A stack that wants to be looked at at once has just been: it waits for the guest, whatever it says.
        let soonest = stack.now + Duration::from_millis(1);
        let by_stack = by_stack.map(|when| when.max(soonest));
        if let Some(when) = by_stack.into_iter().chain(self.deadline).min() {
            agenda.schedule(&mut self.scheduled, when, Thing::Connection(self.name));
        }
    }

    fn is_late(&self, stack: &Stack) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= stack.now)
    }

    /// The host answers, refuses, or takes too long.
    fn await_host(&mut self, stack: &mut Stack) -> Served {
        let Stage::HostCalled { syn } = &self.stage else { return Served::Waits };
        if !self.writable && !self.is_late(stack) {
            return Served::Waits;
        }
        let answered = self.writable && matches!(sockopt::socket_error(&self.host), Ok(Ok(())));
        if answered && Stack::listen(&mut self.endpoint, self.key.peer) {
            stack.receive(&mut self.endpoint, syn);
        }
        if self.endpoint.socket().state() != State::SynReceived {
            stack.receive_for_nobody(syn);
            return Served::Over;
        }
        self.stage = Stage::Open;
        self.deadline = Some(stack.now + PATIENCE);
        Served::More
    }

    fn redial(&mut self, stack: &mut Stack, give_up: Instant) -> Served {
        if give_up <= stack.now {
            return Served::Over;
        }
        if !self.is_late(stack) {
            return Served::Waits;
        }
        if !stack.call(&mut self.endpoint, self.key) {
            return Served::Over;
        }
        self.stage = Stage::GuestCalled;
        self.deadline = Some(give_up);
        Served::More
    }

    /// Moves bytes until neither side has any, or others should have a turn.
    fn relay(&mut self, stack: &mut Stack) -> Served {
        for _ in 0..ROUNDS {
            let moved = self.host_to_guest() | self.guest_to_host();
            let sent = stack.transmit(&mut self.endpoint);
            if stack.link.is_blocked() {
                // Comes again when the guest has read something.
                return Served::More;
            }
            if !moved && !sent {
                return self.settle(stack);
            }
        }
        Served::More
    }

    /// Reads from the host what fits. Whether anything changed.
    fn host_to_guest(&mut self) -> bool {
        let socket = self.endpoint.socket();
        let mut moved = false;
        while self.readable && socket.can_send() {
            let host = &self.host;
            let read = socket.send(|room| {
                if room.is_empty() {
                    return (0, Err(Errno::AGAIN));
                }
                let space = room.len();
                match recv(host, room, RecvFlags::DONTWAIT) {
                    Ok((taken, _)) => (taken, Ok((taken, space))),
                    Err(errno) => (0, Err(errno)),
                }
            });
            match read {
                Ok(Ok((0, _))) => {
                    self.readable = false;
                    self.host_finished = true;
                    socket.close();
                }
                // A short read of a stream emptied it; more of it, or its end, raises a new event.
                Ok(Ok((taken, space))) => self.readable = taken == space || self.hung_up,
                Ok(Err(Errno::INTR)) => {}
                Ok(Err(Errno::AGAIN)) => {
                    self.readable = false;
                    break;
                }
                Ok(Err(_)) | Err(_) => {
                    self.readable = false;
                    self.host_dead = true;
                    socket.abort();
                }
            }
            moved = true;
        }
        moved
    }

    /// Sends to the host what the guest sent. Whether anything changed.
    fn guest_to_host(&mut self) -> bool {
        let socket = self.endpoint.socket();
        let mut moved = false;
        while self.writable && socket.can_recv() {
            let host = &self.host;
            let sent = socket.recv(|data| match send(host, data, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(taken) => (taken, Ok(())),
                Err(errno) => (0, Err(errno)),
            });
            match sent {
                Ok(Ok(()) | Err(Errno::INTR)) => moved = true,
                Ok(Err(Errno::AGAIN)) => self.writable = false,
                Ok(Err(_)) | Err(_) => {
                    self.writable = false;
                    self.host_dead = true;
                    socket.abort();
                    return true;
                }
            }
        }
        let drained = !self.guest_finished && !socket.can_recv();
        if drained && matches!(socket.recv(|_| (0, ())), Err(RecvError::Finished)) {
            self.guest_finished = true;
            // Fails only on a socket that is already dead.
            let _ = shutdown(&self.host, Shutdown::Write);
            return true;
        }
        moved
    }

    /// Nothing moves any more: waits, or is over.
    fn settle(&mut self, stack: &mut Stack) -> Served {
        let state = self.endpoint.socket().state();
        match state {
            State::Closed | State::Listen => self.settle_closed(stack),
            State::SynSent | State::SynReceived => self.expire(stack, PATIENCE),
            State::Established | State::CloseWait | State::FinWait2 => {
                self.stage = Stage::Open;
                self.deadline = None;
                Served::Waits
            }
            State::FinWait1 | State::Closing | State::LastAck => {
                if self.deadline.is_none() {
                    self.deadline = Some(stack.now + FAREWELL);
                }
                self.expire(stack, FAREWELL)
            }
            // The wait for stray segments is not needed on a link that loses none; but a delayed last acknowledgement
            // (at most 10 ms away, the wait ends in seconds) has to leave first, and so has the data.
            State::TimeWait => {
                let settled = stack.deadline(&self.endpoint).is_none_or(|when| when > stack.now + Duration::from_secs(1));
                if settled && self.guest_finished { Served::Over } else { Served::Waits }
            }
        }
    }

    fn settle_closed(&mut self, stack: &Stack) -> Served {
        if matches!(self.stage, Stage::GuestCalled) && stack.is_guest_starting() && stack.now < self.give_up {
            self.stage = Stage::Redial { give_up: self.give_up };
            self.deadline = Some(stack.now + REDIAL);
            return Served::Waits;
        }
        // All was said, but the host has not yet taken the last of it.
        let undelivered = self.host_finished && self.endpoint.socket().can_recv() && !self.host_dead;
        if undelivered { Served::Waits } else { Served::Over }
    }

    /// Gives up a stage that has lasted too long, with a reset to both sides.
    fn expire(&mut self, stack: &mut Stack, limit: Duration) -> Served {
        if self.deadline.is_none() {
            self.deadline = Some(stack.now + limit);
        }
        if !self.is_late(stack) {
            return Served::Waits;
        }
        self.host_finished = false;
        self.endpoint.socket().abort();
        stack.transmit(&mut self.endpoint);
        Served::Over
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.host.as_fd()
    }
}
