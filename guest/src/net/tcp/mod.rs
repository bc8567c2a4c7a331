//! TCP: listeners and streams.

mod connection;
mod forward;
mod halves;
mod listener;
mod operations;
mod segments;
mod serve;
mod state;
mod stream;
mod table;
mod timers;

pub use connection::Buffers;
#[cfg(test)]
pub(super) use connection::ConnectionId;
pub use forward::{ForwardError, Forwarded};
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use listener::ListenOptions;
pub(super) use state::TcpState;
pub use stream::TcpStream;

use core::future::poll_fn;
use core::net::SocketAddr;

use super::{LocalAddress, Result, driver};

/// A listening port.
///
/// Dropping it closes the port; connections that nobody accepted get a reset.
#[derive(Debug)]
pub struct TcpListener {
    port: u16,
}

impl TcpListener {
    /// Listens on a port, or on a port of one of our addresses, with default [`ListenOptions`].
    ///
    /// # Errors
    /// [`super::Error::AddressInUse`] if something listens there.
    pub fn bind(address: impl Into<LocalAddress>) -> Result<Self> {
        Self::bind_with(address, ListenOptions::default())
    }

    /// [`Self::bind`] with other options.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_with(address: impl Into<LocalAddress>, options: ListenOptions) -> Result<Self> {
        let LocalAddress { ip, port } = address.into();
        let port = driver::with(|stack| stack.tcp_listen(ip, port, options))?;
        Ok(Self { port })
    }

    /// The port, also where any was asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Refuses newcomers from now on. Those whose handshake has begun may already believe that they are connected: they are still
    /// accepted, so that nobody is lost who was there in time.
    pub fn stop(&self) {
        driver::with(|stack| stack.tcp_stop_listening(self.port));
    }

    /// Waits for the next connection. Several tasks may wait; each connection goes to one of them. Cancelling loses nothing.
    ///
    /// # Errors
    /// [`super::Error::NotConnected`] after [`Self::stop`], when all have been accepted that were there before.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let accept = |context: &mut core::task::Context<'_>| {
            driver::with(|stack| stack.tcp_accept(self.port, context.waker()))
        };
        let (id, tuple) = poll_fn(accept).await?;
        Ok((TcpStream::new(id, tuple), tuple.remote()))
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        driver::with(|stack| stack.tcp_unlisten(self.port));
    }
}
