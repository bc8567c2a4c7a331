//! All of TCP that outlives a call.

use super::connection::{ConnectionId, Owner};
use super::listener::Listener;
use super::table::Table;
use crate::net::ephemeral::PortSequences;
use crate::net::hash::Keyed;
use crate::net::sorted::SortedMap;

/// Connections and listeners.
#[derive(Debug)]
pub(in crate::net) struct TcpState {
    pub(in crate::net) table: Table,
    pub(super) listeners: SortedMap<u16, Listener>,
    pub(super) ports: PortSequences,
}

impl TcpState {
    pub(in crate::net) fn new(hash: Keyed, budget_bytes: usize) -> Self {
        Self {
            table: Table::new(hash, budget_bytes),
            listeners: SortedMap::new(),
            ports: PortSequences::new(hash),
        }
    }

    /// Number of handshakes under way on behalf of listeners.
    pub(in crate::net) fn handshakes(&self) -> usize {
        self.listeners.iter().map(|(_, listener)| listener.handshakes.len()).sum()
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
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
