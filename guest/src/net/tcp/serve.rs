//! Turns: which connection sends when, and what its state then means.

use core::time::Duration;

use super::connection::{Connection, ConnectionId, Owner, Verdict};
use crate::net::nic::Nic;
use crate::net::stack::Stack;
use crate::time::Instant;

/// Segments one connection may send before the next has its turn.
const BURST: usize = 8;
/// Pause before a connection is looked at again that wants to go on but gets nowhere, and how often it doubles.
///
/// smoltcp has such states. A peer that closes its window and then acknowledges our FIN leaves a window probe behind that is
/// due for ever: left alone, it would send the same segment in an endless loop.
const STUCK_PAUSE: Duration = Duration::from_millis(1);
const MAX_STUCK_DOUBLINGS: u32 = 15;

impl Stack {
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
        listener.wake();
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
