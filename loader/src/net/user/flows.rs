//! UDP conversations: who on the host gets a datagram of the guest, and to whom in the guest an answer goes.
//!
//! A conversation starts with the first datagram, in either direction, and ends when nothing was said for a while. The table
//! is bounded; a newcomer to a full one takes the place of the conversation that was silent for longest.

use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendFlags, SocketType, connect, ipproto, recv, recvfrom, send, sendto, socket_with,
};
use slab::Slab;
use smoltcp::time::{Duration, Instant};

use super::addresses::{UserNet, guest_towards};
use super::agenda::{Agenda, Name, Namer, Thing};
use super::answer;
use super::connections::{SOCKET_FLAGS, family};
use super::link::max_datagram_bytes;
use super::packet::{Datagram, FlowKey};
use super::policy::{DNS_PORT, Policy};
use super::stack::Stack;
use crate::net::rules::Protocol;

/// Silence that ends a conversation (RFC 4787, REQ-5).
const IDLE: Duration = Duration::from_secs(120);
/// The same for DNS, where one answer is all there is.
const IDLE_DNS: Duration = Duration::from_secs(10);
/// Datagrams read from one socket before others get their turn.
const BATCH: usize = 32;
/// Ports of the gateway that hosts' datagrams come from.
const FIRST_PORT: u16 = 49_152;
/// Longest datagram.
const DATAGRAM_BYTES: usize = 65_535;

/// A conversation.
#[derive(Debug)]
struct Flow {
    name: Name,
    key: FlowKey,
    path: Path,
    last_used: Instant,
    queued: bool,
    scheduled: Option<Instant>,
}

/// How a conversation reaches the host.
#[derive(Debug)]
enum Path {
    /// The guest started it: a socket of its own, connected to the target.
    Own(OwnedFd),
    /// A host started it: through a published port, back to `from`.
    Published { port: u32, from: SocketAddr },
}

/// All conversations.
#[derive(Debug)]
pub(super) struct Flows {
    table: Slab<Flow>,
    by_key: HashMap<FlowKey, usize>,
    by_caller: HashMap<(u32, SocketAddr), usize>,
    namer: Namer,
    capacity: usize,
    next_port: u16,
    datagram: Box<[u8]>,
}

/// A published UDP port.
#[derive(Debug)]
pub(super) struct PublishedUdp<'a> {
    pub(super) index: u32,
    pub(super) socket: BorrowedFd<'a>,
    pub(super) guest_port: u16,
}

impl Flows {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            table: Slab::new(),
            by_key: HashMap::new(),
            by_caller: HashMap::new(),
            namer: Namer::default(),
            capacity: capacity.max(1),
            next_port: FIRST_PORT,
            datagram: vec![0; DATAGRAM_BYTES].into_boxed_slice(),
        }
    }

    /// Takes a datagram of the guest. `published` finds the socket of a published port.
    pub(super) fn receive<'a>(
        &mut self,
        datagram: &Datagram<'_>,
        policy: &Policy,
        published: impl FnOnce(u32) -> Option<BorrowedFd<'a>>,
        epoll: BorrowedFd<'_>,
        stack: &mut Stack,
        agenda: &mut Agenda,
    ) {
        let key = datagram.key;
        let known = self.by_key.get(&key).copied().or_else(|| {
            let target = policy.target(Protocol::Udp, key.peer)?;
            let socket =
                socket_with(family(target), SocketType::DGRAM, SOCKET_FLAGS, Some(ipproto::UDP)).ok()?;
            connect(&socket, &target).ok()?;
            self.make_room();
            let name = self.namer.name(self.table.vacant_key());
            let data = EventData::new_u64(Thing::Flow(name).to_raw());
            epoll::add(epoll, &socket, data, EventFlags::IN | EventFlags::ET).ok()?;
            Some(self.insert(name, key, Path::Own(socket), stack.now))
        });
        let Some(flow) = known.and_then(|index| self.table.get_mut(index)) else {
            return answer::prohibited(&mut stack.link, key.peer, datagram.packet);
        };
        flow.last_used = stack.now;
        flow.expire_later(agenda);
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // UDP promises no delivery: what the host does not take now is lost.
        let _ = match &flow.path {
            Path::Own(socket) => send(socket, datagram.payload, flags),
            Path::Published { port, from } => match published(*port) {
                Some(socket) => sendto(socket, datagram.payload, flags, from),
                None => Ok(0),
            },
        };
    }

    /// An event of a conversation's own socket.
    pub(super) fn note(&mut self, name: Name, agenda: &mut Agenda) {
        if let Some(flow) = self.get(name) {
            agenda.queue(&mut flow.queued, Thing::Flow(name));
        }
    }

    /// A conversation's timer has come up: ends it if it was silent for long enough.
    pub(super) fn wake(&mut self, name: Name, now: Instant, agenda: &mut Agenda) {
        let Some(flow) = self.get(name) else { return };
        flow.scheduled = None;
        if flow.last_used + flow.idle() > now {
            flow.expire_later(agenda);
        } else if let Ok(index) = usize::try_from(name.index) {
            self.remove(index);
        }
    }

    /// Passes on what a conversation's own socket has received.
    pub(super) fn serve(&mut self, name: Name, stack: &mut Stack, agenda: &mut Agenda) {
        let Some(index) = usize::try_from(name.index).ok() else { return };
        let Some(flow) = self.table.get_mut(index).filter(|flow| flow.name == name) else { return };
        flow.queued = false;
        let Path::Own(socket) = &flow.path else { return };
        for _ in 0..BATCH {
            if stack.link.is_blocked() {
                break;
            }
            match recv(socket, &mut self.datagram[..], RecvFlags::DONTWAIT) {
                Ok((taken, _)) => {
                    flow.last_used = stack.now;
                    send_to_guest(stack, flow.key, &self.datagram[..taken]);
                }
                // An ICMP error about an earlier datagram; others may still follow.
                Err(Errno::INTR | Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => {}
                Err(_) => return,
            }
        }
        agenda.queue(&mut flow.queued, Thing::Flow(name));
    }

    /// Passes on what a published port has received. Whether there may be more.
    pub(super) fn serve_published(
        &mut self,
        published: &PublishedUdp<'_>,
        stack: &mut Stack,
        agenda: &mut Agenda,
    ) -> bool {
        for _ in 0..BATCH {
            if stack.link.is_blocked() {
                return true;
            }
            let (taken, from) = match recvfrom(published.socket, &mut self.datagram[..], RecvFlags::DONTWAIT)
            {
                Ok((taken, _, Some(from))) => (taken, from),
                Ok((_, _, None)) | Err(Errno::INTR | Errno::CONNREFUSED) => continue,
                Err(_) => return false,
            };
            let Ok(from) = SocketAddr::try_from(from) else { continue };
            let index = match self.by_caller.get(&(published.index, from)) {
                Some(index) => *index,
                None => self.take_caller(published, from, stack.now),
            };
            let Some(flow) = self.table.get_mut(index) else { continue };
            flow.last_used = stack.now;
            flow.expire_later(agenda);
            send_to_guest(stack, flow.key, &self.datagram[..taken]);
        }
        true
    }

    /// Starts the conversation of a host that the published port has not heard of.
    fn take_caller(&mut self, published: &PublishedUdp<'_>, from: SocketAddr, now: Instant) -> usize {
        self.make_room();
        let key = loop {
            let peer = SocketAddr::new(IpAddr::V4(UserNet::GATEWAY_V4), self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            let key = FlowKey { peer, guest_port: published.guest_port };
            // Ends: there are more ports than conversations.
            if !self.by_key.contains_key(&key) {
                break key;
            }
        };
        let name = self.namer.name(self.table.vacant_key());
        let index = self.insert(name, key, Path::Published { port: published.index, from }, now);
        self.by_caller.insert((published.index, from), index);
        index
    }

    fn get(&mut self, name: Name) -> Option<&mut Flow> {
        self.table.get_mut(usize::try_from(name.index).ok()?).filter(|flow| flow.name == name)
    }

    fn insert(&mut self, name: Name, key: FlowKey, path: Path, now: Instant) -> usize {
        let index =
            self.table.insert(Flow { name, key, path, last_used: now, queued: false, scheduled: None });
        self.by_key.insert(key, index);
        index
    }

    fn make_room(&mut self) {
        if self.table.len() < self.capacity {
            return;
        }
        let oldest = self.table.iter().min_by_key(|(_, flow)| flow.last_used).map(|(index, _)| index);
        if let Some(index) = oldest {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: usize) {
        let Some(flow) = self.table.try_remove(index) else { return };
        self.by_key.remove(&flow.key);
        if let Path::Published { port, from } = flow.path {
            self.by_caller.remove(&(port, from));
        }
    }
}

impl Flow {
    fn idle(&self) -> Duration {
        if self.key.peer.port() == DNS_PORT { IDLE_DNS } else { IDLE }
    }

    fn expire_later(&mut self, agenda: &mut Agenda) {
        let when = self.last_used + self.idle();
        agenda.schedule(&mut self.scheduled, when, Thing::Flow(self.name));
    }
}

fn send_to_guest(stack: &mut Stack, key: FlowKey, payload: &[u8]) {
    // There is no fragmentation between helper and guest: a longer one is lost, as behind any narrow link.
    if payload.len() <= max_datagram_bytes(guest_towards(key.peer.ip())) {
        answer::datagram(&mut stack.link, key, payload);
    }
}
