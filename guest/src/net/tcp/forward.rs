//! From one connection straight to another: what a proxy does all day, without a buffer of its own.

use core::task::Waker;

use smoltcp::socket::tcp::RecvError;

use super::connection::{Connection, ConnectionId};
use crate::net::Error;
use crate::net::stack::Stack;

/// What one call has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Bytes moved.
    pub bytes: usize,
    /// The peer has sent all it will, and all of it has been moved.
    pub finished: bool,
}

/// Which connection has failed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardError {
    /// The one to read from.
    Read(Error),
    /// The one to write to.
    Write(Error),
}

impl Stack {
    /// Moves bytes from what `from` has received to what `to` sends. Notes `waker` for when there may be more to move.
    pub(in crate::net) fn tcp_forward(
        &mut self,
        from: ConnectionId,
        to: ConnectionId,
        waker: &Waker,
    ) -> Result<Forwarded, ForwardError> {
        let now = self.now;
        let pair = self.tcp.table.get_two(from, to);
        let (source, sink) = pair.ok_or(ForwardError::Read(Error::NotConnected))?;
        let idle = sink.socket().send_queue() == 0;
        let forwarded = move_all(source, sink)?;
        if !forwarded.finished {
            // Also when `to` is full: a reset of either side is news.
            source.socket().register_recv_waker(waker);
            sink.socket().register_send_waker(waker);
        }
        if forwarded.bytes > 0 {
            if idle {
                sink.waiting_since = now;
            }
            // One has something to send, the other may want to say that there is room again.
            self.tcp.table.mark_dirty(to);
            self.tcp.table.mark_dirty(from);
        }
        Ok(forwarded)
    }
}

/// Both buffers are rings: at most three pieces lie in one stretch in both.
fn move_all(source: &mut Connection, sink: &mut Connection) -> Result<Forwarded, ForwardError> {
    let mut forwarded = Forwarded::default();
    if !sink.socket().may_send() {
        return Err(ForwardError::Write(sink.closed_error()));
    }
    loop {
        let to = sink.socket();
        let moved = source.socket().recv(|bytes| {
            let moved = to.send_slice(bytes).unwrap_or(0);
            (moved, moved)
        });
        match moved {
            Ok(0) => return Ok(forwarded),
            Ok(bytes) => forwarded.bytes += bytes,
            Err(RecvError::InvalidState) if !source.peer_finished => {
                return Err(ForwardError::Read(source.closed_error()));
            }
            Err(RecvError::Finished | RecvError::InvalidState) => {
                forwarded.finished = true;
                return Ok(forwarded);
            }
        }
    }
}
