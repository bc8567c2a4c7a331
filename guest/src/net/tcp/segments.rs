//! From segments to connections: who takes one, and what becomes of those that nobody expects.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpListenEndpoint, IpProtocol, IpRepr, TcpControl, TcpPacket, TcpRepr};

use super::connection::{Connection, ConnectionId, HANDSHAKE_TIMEOUT, Owner};
use super::table::Flow;
use crate::net::packet::{Packet, Tuple};
use crate::net::stack::Stack;
use crate::time::Instant;

/// Hop limit of what we send without smoltcp.
const HOP_LIMIT: u8 = 64;

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
        let stale = connection.takes_for_another(&segment);
        nic.ingress(packet.bytes, &mut connection.sockets, now);
        if stale {
            // The reset that this segment was answered with makes the peer forget the other connection.
            connection.call_again(nic, (self.random)(), now);
        }
        self.tcp.table.mark_dirty(id);
        Some(())
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
            .insert(tuple, buffers, |id| Connection::new(id, nic, tuple, Owner::Handshake, buffers, now))?;
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
