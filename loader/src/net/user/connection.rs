//! One TCP connection, from the first SYN to the last acknowledgement: who was called, who has answered, who is done.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};

use super::agenda::{Agenda, Name, Thing};
use super::packet::FlowKey;
use super::relay::Relay;
use super::stack::Stack;

/// How long the guest may take to answer a call.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a host may take to answer the guest's call.
const HOST_PATIENCE: Duration = Duration::from_secs(20);
/// Pause before a starting guest is called again.
const REDIAL: Duration = Duration::from_millis(20);
/// How long a guest may take to acknowledge more of what the host said before it ended the connection, and the end.
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
    /// Both ends have finished, and the host has yet to take the last of what the guest said.
    Drains,
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
    relay: Relay,
    stage: Stage,
    /// When the stage has lasted too long.
    deadline: Option<Instant>,
    give_up: Instant,
    /// What the guest has yet to acknowledge of the host's data, when the connection was last seen ending.
    unheard_bytes: usize,
    queued: bool,
    scheduled: Option<Instant>,
}

impl Connection {
    /// A connection that a host made to a published port: calls the guest.
    pub(super) fn inbound(name: Name, key: FlowKey, host: OwnedFd, stack: &mut Stack) -> Self {
        let mut endpoint = stack.endpoint();
        stack.call(&mut endpoint, key);
        Self::new(name, key, Relay::new(host, endpoint), Stage::GuestCalled, stack.now + PATIENCE)
    }

    /// A connection that the guest makes: `host` is on its way to the target, `syn` is the guest's first segment.
    pub(super) fn outbound(name: Name, key: FlowKey, host: OwnedFd, syn: &[u8], stack: &mut Stack) -> Self {
        let relay = Relay::new(host, stack.endpoint());
        Self::new(name, key, relay, Stage::HostCalled { syn: syn.into() }, stack.now + HOST_PATIENCE)
    }

    fn new(name: Name, key: FlowKey, relay: Relay, stage: Stage, deadline: Instant) -> Self {
        Self {
            name,
            key,
            relay,
            stage,
            deadline: Some(deadline),
            give_up: deadline,
            unheard_bytes: usize::MAX,
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
        self.relay.note(events);
    }

    /// Takes a segment of the guest.
    pub(super) fn receive(&mut self, stack: &mut Stack, packet: &[u8], resets: bool) {
        match self.stage {
            // Another copy of the SYN tells nothing new; a reset ends the wait.
            Stage::HostCalled { .. } if resets => self.deadline = Some(stack.now),
            Stage::HostCalled { .. } | Stage::Redial { .. } | Stage::Drains => {}
            Stage::GuestCalled | Stage::Open => {
                stack.receive(&mut self.relay.endpoint, packet);
                // From here on a reset is no refusal, even if it comes with the next frame.
                if !matches!(self.relay.endpoint.socket().state(), State::SynSent | State::Closed) {
                    self.stage = Stage::Open;
                }
            }
        }
    }

    /// Does what there is to do.
    pub(super) fn serve(&mut self, stack: &mut Stack, agenda: &mut Agenda) -> Served {
        self.queued = false;
        let served = match self.stage {
            Stage::HostCalled { .. } => self.await_host(stack),
            Stage::Redial { give_up } => self.redial(stack, give_up),
            Stage::GuestCalled | Stage::Open => self.relay(stack),
            Stage::Drains => self.drain(),
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
        self.relay.close(stack);
    }

    fn schedule(&mut self, stack: &mut Stack, agenda: &mut Agenda) {
        let by_stack = match self.stage {
            Stage::HostCalled { .. } | Stage::Redial { .. } | Stage::Drains => None,
            Stage::GuestCalled | Stage::Open => stack.deadline(&self.relay.endpoint),
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
        let answer = self.relay.host_answer();
        if answer.is_none() && !self.is_late(stack) {
            return Served::Waits;
        }
        if answer == Some(true) && Stack::listen(&mut self.relay.endpoint, self.key.peer) {
            stack.receive(&mut self.relay.endpoint, syn);
        }
        if self.relay.endpoint.socket().state() != State::SynReceived {
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
        if !stack.call(&mut self.relay.endpoint, self.key) {
            return Served::Over;
        }
        self.stage = Stage::GuestCalled;
        self.deadline = Some(give_up);
        Served::More
    }

    /// Moves bytes until neither side has any, or others should have a turn.
    fn relay(&mut self, stack: &mut Stack) -> Served {
        let mut moved_any = false;
        for _ in 0..ROUNDS {
            let moved = self.relay.host_to_guest() | self.relay.guest_to_host();
            moved_any |= moved;
            let sent = stack.transmit(&mut self.relay.endpoint);
            if stack.link.is_blocked() {
                // Comes again when the guest has read something.
                return Served::More;
            }
            if !moved && !sent {
                return self.settle(stack);
            }
        }
        // A guest that closes its window and then acknowledges our end of the stream leaves smoltcp with a window probe that is
        // due for ever: segments without bytes from either side, at a time when nothing is left to say, get a pause.
        let ending = matches!(
            self.relay.endpoint.socket().state(),
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck
        );
        if ending && !moved_any { self.settle(stack) } else { Served::More }
    }

    /// Nothing moves any more: waits, or is over.
    fn settle(&mut self, stack: &mut Stack) -> Served {
        let state = self.relay.endpoint.socket().state();
        match state {
            State::Closed | State::Listen => self.settle_closed(stack),
            State::SynSent | State::SynReceived => self.expire(stack, PATIENCE),
            State::Established | State::CloseWait | State::FinWait2 => {
                self.deadline = None;
                Served::Waits
            }
            State::FinWait1 | State::Closing | State::LastAck => {
                // As long as the guest goes on hearing what the host has said, however slowly, it has its time.
                let unheard_bytes = self.relay.endpoint.socket().send_queue();
                if unheard_bytes < self.unheard_bytes {
                    self.unheard_bytes = unheard_bytes;
                    self.deadline = None;
                }
                self.expire(stack, FAREWELL)
            }
            // The wait for stray segments is not needed on a link that loses none; but a delayed last acknowledgement
            // (at most 10 ms away, the wait ends in seconds) has to leave first, and so has the data.
            State::TimeWait => {
                let settled = stack
                    .deadline(&self.relay.endpoint)
                    .is_none_or(|when| when > stack.now + Duration::from_secs(1));
                if settled { self.drain() } else { Served::Waits }
            }
        }
    }

    fn settle_closed(&mut self, stack: &Stack) -> Served {
        if matches!(self.stage, Stage::GuestCalled) && stack.is_guest_starting() && stack.now < self.give_up {
            self.stage = Stage::Redial { give_up: self.give_up };
            self.deadline = Some(stack.now + REDIAL);
            return Served::Waits;
        }
        self.drain()
    }

    /// The guest is done, and smoltcp not to be asked any more, since it would forget what the guest sent: only the host has
    /// to take the last of it.
    fn drain(&mut self) -> Served {
        self.relay.guest_to_host();
        if !self.relay.is_draining() {
            return Served::Over;
        }
        self.stage = Stage::Drains;
        self.deadline = None;
        Served::Waits
    }

    /// Gives up what has lasted longer than `limit`, with a reset to both sides.
    fn expire(&mut self, stack: &mut Stack, limit: Duration) -> Served {
        if self.deadline.is_none() {
            self.deadline = Some(stack.now + limit);
        }
        if !self.is_late(stack) {
            return Served::Waits;
        }
        self.relay.fail();
        stack.transmit(&mut self.relay.endpoint);
        Served::Over
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.relay.as_fd()
    }
}
