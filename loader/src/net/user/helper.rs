//! The helper's event loop.
//!
//! One turn: wait for events, note them, read frames, look at what is due, then serve every thing that has work once. While
//! the guest does not read (the link is blocked) nothing is read for it either.

use core::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::accept_with;
use smoltcp::time::Instant;

use super::agenda::{Agenda, Thing};
use super::answer;
use super::connections::{Connections, SOCKET_FLAGS};
use super::flows::{Flows, PublishedUdp};
use super::link::{Link, MESSAGE_BYTES, Received};
use super::packet::{Packet, decode};
use super::policy::Policy;
use super::prepare::Published;
use super::stack::Stack;
use crate::net::rules::Protocol;

/// Most TCP connections at a time.
const MAX_CONNECTIONS: usize = 4096;
/// Most UDP conversations at a time.
const MAX_FLOWS: usize = 1024;
/// Descriptors that are neither: published ports, link, event queue, standard error, and some to spare.
const OTHER_DESCRIPTORS: usize = 32;
/// Frames read, or connections accepted, before others get their turn.
const BATCH: usize = 64;

/// A published port that is being served.
#[derive(Debug)]
struct Port {
    published: Published,
    /// There may be connections or datagrams to take.
    ready: bool,
    queued: bool,
}

/// Everything that runs.
pub(super) struct Helper {
    epoll: OwnedFd,
    events: Vec<Event>,
    start: time::Instant,
    agenda: Agenda,
    stack: Stack,
    /// What the guest sent last.
    message: Box<[u8]>,
    link_interest: EventFlags,
    policy: Policy,
    ports: Vec<Port>,
    connections: Connections,
    flows: Flows,
}

impl Helper {
    /// Registers what was prepared. `descriptors` is how many the process may have, `seed` makes sequence numbers differ.
    pub(super) fn new(
        frames: OwnedFd,
        published: Vec<Published>,
        policy: Policy,
        descriptors: usize,
        seed: u64,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let stack = Stack::new(Link::new(frames), seed);
        let link_interest = EventFlags::IN;
        epoll::add(&epoll, &stack.link, EventData::new_u64(Thing::Link.to_raw()), link_interest)?;
        for (index, port) in (0..).zip(&published) {
            let data = EventData::new_u64(Thing::Published(index).to_raw());
            epoll::add(&epoll, &port.socket, data, EventFlags::IN | EventFlags::ET)?;
        }
        let room = descriptors.saturating_sub(OTHER_DESCRIPTORS + published.len());
        let flows = (room / 8).min(MAX_FLOWS);
        Ok(Self {
            epoll,
            events: Vec::with_capacity(256),
            start: time::Instant::now(),
            agenda: Agenda::default(),
            stack,
            message: vec![0; MESSAGE_BYTES].into_boxed_slice(),
            link_interest,
            policy,
            ports: published
                .into_iter()
                .map(|published| Port { published, ready: false, queued: false })
                .collect(),
            connections: Connections::new((room - flows).min(MAX_CONNECTIONS)),
            flows: Flows::new(flows),
        })
    }

    /// Descriptors that the helper uses.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let ports = self.ports.iter().map(|port| port.published.socket.as_raw_fd());
        ports.chain([self.epoll.as_raw_fd(), self.stack.link.as_fd().as_raw_fd()]).collect()
    }

    /// The rules.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Serves until the guest's end of the link closes.
    ///
    /// # Errors
    /// If the event queue fails, which it does not on a working kernel.
    pub(super) fn run(mut self) -> Result<(), Errno> {
        while !self.stack.link.is_closed() {
            self.wait()?;
            self.take_due();
            self.serve_ready();
        }
        Ok(())
    }

    /// Waits until there is something to do, and notes what.
    fn wait(&mut self) -> Result<(), Errno> {
        let mut interest = EventFlags::IN;
        if self.stack.link.is_blocked() {
            interest = EventFlags::OUT;
        }
        if interest != self.link_interest {
            epoll::modify(&self.epoll, &self.stack.link, EventData::new_u64(Thing::Link.to_raw()), interest)?;
            self.link_interest = interest;
        }
        let timeout = self.timeout();
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let micros = i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.stack.now = Instant::from_micros(micros);
        for at in 0..self.events.len() {
            let event = self.events[at];
            self.note(Thing::from_raw(event.data.u64()), event.flags);
        }
        Ok(())
    }

    /// How long nothing is to be done unless something happens: `None` for ever.
    fn timeout(&self) -> Option<Timespec> {
        if self.agenda.ready_len() > 0 && !self.stack.link.is_blocked() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let micros = (self.agenda.next_timer()? - self.stack.now).total_micros();
        let wait = time::Duration::from_micros(micros);
        Timespec::try_from(wait).ok()
    }

    fn note(&mut self, thing: Thing, flags: EventFlags) {
        match thing {
            Thing::Link => {
                self.stack.link.flush();
                self.read_frames();
            }
            Thing::Published(index) => {
                if let Some(port) = usize::try_from(index).ok().and_then(|index| self.ports.get_mut(index)) {
                    port.ready = true;
                    self.agenda.queue(&mut port.queued, thing);
                }
            }
            Thing::Connection(name) => self.connections.note(name, flags, &mut self.agenda),
            Thing::Flow(name) => self.flows.note(name, &mut self.agenda),
        }
    }

    /// Reads what the guest has sent, some frames of it. Level-triggered: more of them raise the event again.
    fn read_frames(&mut self) {
        for _ in 0..BATCH {
            if self.stack.link.is_blocked() {
                return;
            }
            match self.stack.link.receive(&mut self.message) {
                Received::Frame(place) => self.take_frame(place),
                Received::Nothing | Received::Closed => return,
            }
        }
    }

    fn take_frame(&mut self, place: Range<usize>) {
        let Some((source, packet)) = decode(&self.message[place]) else { return };
        self.stack.link.learn(source);
        self.stack.hear();
        match packet {
            Packet::WhoHas { target, sender } => answer::arp(&mut self.stack.link, target, sender),
            Packet::Solicit { target, source } => answer::neighbour(&mut self.stack.link, target, source),
            Packet::Echo(packet) => self.stack.receive_for_nobody(packet),
            Packet::Tcp(segment) => {
                let epoll = self.epoll.as_fd();
                self.connections.receive(&segment, &self.policy, epoll, &mut self.stack, &mut self.agenda);
            }
            Packet::Udp(datagram) => {
                let ports = &self.ports;
                let published = |index: u32| {
                    let port = ports.get(usize::try_from(index).ok()?)?;
                    Some(port.published.socket.as_fd())
                };
                let epoll = self.epoll.as_fd();
                self.flows.receive(
                    &datagram,
                    &self.policy,
                    published,
                    epoll,
                    &mut self.stack,
                    &mut self.agenda,
                );
            }
        }
    }

    fn take_due(&mut self) {
        while let Some(thing) = self.agenda.next_due(self.stack.now) {
            match thing {
                Thing::Connection(name) => self.connections.wake(name, &mut self.agenda),
                Thing::Flow(name) => self.flows.wake(name, self.stack.now, &mut self.agenda),
                Thing::Link | Thing::Published(_) => {}
            }
        }
    }

    /// Serves each thing that is ready now, once.
    fn serve_ready(&mut self) {
        for _ in 0..self.agenda.ready_len() {
            if self.stack.link.is_blocked() {
                return;
            }
            match self.agenda.next_ready() {
                Some(Thing::Published(index)) => self.serve_port(index),
                Some(Thing::Connection(name)) => {
                    if self.connections.serve(name, &mut self.stack, &mut self.agenda) {
                        self.offer_room();
                    }
                }
                Some(Thing::Flow(name)) => self.flows.serve(name, &mut self.stack, &mut self.agenda),
                Some(Thing::Link) | None => {}
            }
        }
    }

    /// Lets ports go on that had found the table full.
    fn offer_room(&mut self) {
        for (index, port) in (0..).zip(&mut self.ports) {
            if port.ready {
                self.agenda.queue(&mut port.queued, Thing::Published(index));
            }
        }
    }

    fn serve_port(&mut self, index: u32) {
        let Some(port) = usize::try_from(index).ok().and_then(|index| self.ports.get_mut(index)) else {
            return;
        };
        port.queued = false;
        let Published { publish, socket, .. } = &port.published;
        match publish.protocol {
            Protocol::Udp => {
                let published =
                    PublishedUdp { index, socket: socket.as_fd(), guest_port: publish.guest_port };
                port.ready = self.flows.serve_published(&published, &mut self.stack, &mut self.agenda);
            }
            Protocol::Tcp => {
                for _ in 0..BATCH {
                    if self.connections.is_full() {
                        // Goes on when a connection ends.
                        return;
                    }
                    match accept_with(socket, SOCKET_FLAGS) {
                        Ok(host) => {
                            let (epoll, stack) = (self.epoll.as_fd(), &mut self.stack);
                            self.connections.accept(host, publish.guest_port, epoll, stack, &mut self.agenda);
                        }
                        // The caller gave up before it was its turn.
                        Err(Errno::INTR | Errno::CONNABORTED) => {}
                        Err(Errno::AGAIN) => {
                            port.ready = false;
                            return;
                        }
                        // Out of descriptors or memory: goes on when a connection ends.
                        Err(_) => return,
                    }
                }
            }
        }
        if port.ready {
            self.agenda.queue(&mut port.queued, Thing::Published(index));
        }
    }
}
