//! A TCP connection in an application's hands.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Waker;
use core::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};

use super::connection::{Buffers, ConnectionId};
use super::forward::{ForwardError, Forwarded};
use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::net::packet::Tuple;
use crate::net::{Error, Result, driver};

/// A TCP connection.
///
/// What is written is on its way at once: small writes are not held back unless [`Self::set_nodelay`] says so, and `flush`
/// has nothing to do. Reads and writes may be cancelled without losing data.
///
/// Dropping a stream ends the connection as closing a socket elsewhere does: what was written is still delivered, and the
/// peer reads an end of stream; but if the peer had sent something that was never read, it gets a reset. To know that all
/// has been delivered, use [`Self::close`].
#[derive(Debug)]
pub struct TcpStream {
    id: ConnectionId,
    tuple: Tuple,
}

impl TcpStream {
    pub(super) fn new(id: ConnectionId, tuple: Tuple) -> Self {
        Self { id, tuple }
    }

    /// Connects, with default [`Buffers`], in at most 30 seconds.
    ///
    /// # Errors
    /// [`Error::NoRoute`], [`Error::Refused`], [`Error::TimedOut`], [`Error::OutOfMemory`], [`Error::AddressInUse`] without
    /// a free local port, [`Error::InvalidAddress`] for port 0 or a group.
    pub async fn connect(remote: SocketAddr) -> Result<Self> {
        Self::connect_with(remote, Buffers::default()).await
    }

    /// [`Self::connect`] with other buffers.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_with(remote: SocketAddr, buffers: Buffers) -> Result<Self> {
        let (id, tuple) = driver::with(|stack| stack.tcp_connect(remote, buffers))?;
        // From here on a cancelled connect gives the connection up.
        let stream = Self::new(id, tuple);
        poll_fn(|context| driver::with(|stack| stack.tcp_connected(id, context.waker()))).await?;
        Ok(stream)
    }

    /// Our end.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.tuple.local()
    }

    /// The peer's end.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.tuple.remote()
    }

    /// Whether small writes leave at once (the default), or wait while earlier ones are unacknowledged (Nagle's algorithm).
    pub fn set_nodelay(&self, nodelay: bool) {
        driver::with(|stack| stack.tcp_configure(self.id, Some(nodelay), None));
    }

    /// Asks a silent peer for a sign of life every `interval`, and gives the connection up after five without an answer.
    /// `None` stops asking; a new stream does not ask.
    pub fn set_keep_alive(&self, interval: Option<Duration>) {
        driver::with(|stack| stack.tcp_configure(self.id, None, Some(interval)));
    }

    /// Ends our half of the stream, after what has been written; the peer's half stays readable.
    pub fn shutdown(&mut self) {
        driver::with(|stack| stack.tcp_shutdown(self.id));
    }

    /// Ends our half of the stream and waits until the peer has acknowledged everything.
    ///
    /// # Errors
    /// [`Error::Reset`] or [`Error::TimedOut`] if the connection ended before.
    pub async fn close(mut self) -> Result<()> {
        self.shutdown();
        poll_fn(|context| driver::with(|stack| stack.tcp_closed(self.id, context.waker()))).await
    }

    /// Ends the connection at once: the peer gets a reset, and what has not left yet is lost.
    pub fn abort(self) {
        driver::with(|stack| stack.tcp_release(self.id, true));
        // Dropping `self` finds nothing left to end in order.
    }

    /// Moves what has arrived here straight into what `to` sends, as much as there is and as `to` has room for, without a buffer
    /// in between. Never waits; the task is woken when this is worth another call.
    ///
    /// # Errors
    /// [`ForwardError`] says which of the two has failed.
    pub fn forward(&mut self, to: &mut Self, waker: &Waker) -> core::result::Result<Forwarded, ForwardError> {
        driver::with(|stack| stack.tcp_forward(self.id, to.id, waker))
    }

    /// Both halves, borrowed, to read and write at once in one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(self.id), WriteHalf::new(self.id))
    }

    /// Both halves, owned, to read and write in different tasks. Dropping the write half ends our half of the stream.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        driver::with(|stack| stack.tcp_split(self.id));
        let id = self.id;
        // The stream's handle goes on in one of the halves.
        core::mem::forget(self);
        (OwnedReadHalf::new(id), OwnedWriteHalf::new(id))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        driver::with(|stack| stack.tcp_release(self.id, false));
    }
}

impl ErrorType for TcpStream {
    type Error = Error;
}

impl Read for TcpStream {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        halves::read(self.id, buffer).await
    }
}

impl Write for TcpStream {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        halves::write(self.id, bytes).await
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
