//! All TCP connections: found by name for the host's events, by address for the guest's segments.

use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use slab::Slab;

use super::addresses::UserNet;
use super::agenda::{Agenda, Name, Namer, Thing};
use super::connection::{Connection, MAX_SYN_BYTES, Served};
use super::packet::{FlowKey, Segment};
use super::policy::Policy;
use super::stack::Stack;
use crate::net::rules::Protocol;

/// Ports that calls from the gateway use: the dynamic ones.
const FIRST_PORT: u16 = 49_152;

/// Flags of every socket that the helper makes or accepts.
pub(super) const SOCKET_FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// The table of connections. Its size is bounded: beyond, callers wait in the kernel's backlog.
#[derive(Debug)]
pub(super) struct Connections {
    table: Slab<Connection>,
    by_key: HashMap<FlowKey, usize>,
    namer: Namer,
    capacity: usize,
    next_port: u16,
}

impl Connections {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            table: Slab::new(),
            by_key: HashMap::new(),
            namer: Namer::default(),
            capacity,
            next_port: FIRST_PORT,
        }
    }

    /// Whether there is no room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.table.len() >= self.capacity
    }

    /// Takes a connection that a host made to the published port `guest_port`.
    pub(super) fn accept(
        &mut self,
        host: OwnedFd,
        guest_port: u16,
        epoll: BorrowedFd<'_>,
        stack: &mut Stack,
        agenda: &mut Agenda,
    ) {
        let key = self.free_key(guest_port);
        let name = self.namer.name(self.table.vacant_key());
        self.insert(Connection::inbound(name, key, host, stack), epoll, stack, agenda);
    }

    /// A port of the gateway that has no connection with `guest_port`. There always is one: fewer connections fit the table
    /// than there are ports.
    fn free_key(&mut self, guest_port: u16) -> FlowKey {
        loop {
            let peer = SocketAddr::new(IpAddr::V4(UserNet::GATEWAY_V4), self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            let key = FlowKey { peer, guest_port };
            if !self.by_key.contains_key(&key) {
                return key;
            }
        }
    }

    /// Takes a segment of the guest: gives it to its connection, makes one if a rule allows it, refuses it otherwise.
    pub(super) fn receive(
        &mut self,
        segment: &Segment<'_>,
        policy: &Policy,
        epoll: BorrowedFd<'_>,
        stack: &mut Stack,
        agenda: &mut Agenda,
    ) {
        if let Some(connection) = self.by_key.get(&segment.key).and_then(|index| self.table.get_mut(*index)) {
            connection.receive(stack, segment.packet, segment.resets);
            connection.queue(agenda);
            return;
        }
        let host = if segment.opens { self.call_host(segment, policy) } else { None };
        match host {
            Some(host) => {
                let name = self.namer.name(self.table.vacant_key());
                let connection = Connection::outbound(name, segment.key, host, segment.packet, stack);
                self.insert(connection, epoll, stack, agenda);
            }
            None => stack.receive_for_nobody(segment.packet),
        }
    }

    /// Starts a connection to the host that the guest calls. `None` if no rule allows it, there is no room, or the host
    /// refuses at once.
    fn call_host(&self, segment: &Segment<'_>, policy: &Policy) -> Option<OwnedFd> {
        let target = policy.target(Protocol::Tcp, segment.key.peer)?;
        if self.is_full() || segment.packet.len() > MAX_SYN_BYTES {
            return None;
        }
        let socket =
            socket_with(family(target), SocketType::STREAM, SOCKET_FLAGS, Some(ipproto::TCP)).ok()?;
        sockopt::set_tcp_nodelay(&socket, true).ok()?;
        match connect(&socket, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => Some(socket),
            Err(_) => None,
        }
    }

    fn insert(
        &mut self,
        connection: Connection,
        epoll: BorrowedFd<'_>,
        stack: &mut Stack,
        agenda: &mut Agenda,
    ) {
        let data = EventData::new_u64(Thing::Connection(connection.name).to_raw());
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if epoll::add(epoll, &connection, data, interest).is_err() {
            connection.close(stack);
            return;
        }
        self.by_key.insert(connection.key, self.table.vacant_key());
        let index = self.table.insert(connection);
        self.table[index].queue(agenda);
    }

    /// The connection of that name, if it still exists.
    fn get(&mut self, name: Name) -> Option<&mut Connection> {
        let index = usize::try_from(name.index).ok()?;
        self.table.get_mut(index).filter(|connection| connection.name == name)
    }

    /// Takes an event of a host socket.
    pub(super) fn note(&mut self, name: Name, events: EventFlags, agenda: &mut Agenda) {
        if let Some(connection) = self.get(name) {
            connection.note(events);
            connection.queue(agenda);
        }
    }

    /// A connection's timer has come up.
    pub(super) fn wake(&mut self, name: Name, agenda: &mut Agenda) {
        if let Some(connection) = self.get(name) {
            connection.wake(agenda);
        }
    }

    /// Serves a connection. Whether that ended it, so that there is room for another one.
    pub(super) fn serve(&mut self, name: Name, stack: &mut Stack, agenda: &mut Agenda) -> bool {
        let Some(connection) = self.get(name) else { return false };
        if connection.serve(stack, agenda) != Served::Over {
            return false;
        }
        if let Some(connection) =
            usize::try_from(name.index).ok().and_then(|index| self.table.try_remove(index))
        {
            self.by_key.remove(&connection.key);
            connection.close(stack);
        }
        true
    }
}

/// Address family of `address`.
pub(super) fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}
