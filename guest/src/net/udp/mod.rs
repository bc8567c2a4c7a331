//! UDP sockets.

mod ports;

use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Poll;

pub(super) use ports::Ports;

use super::{LocalAddress, Result, driver};

/// A bound UDP port.
#[derive(Debug)]
pub struct UdpSocket {
    port: u16,
}

impl UdpSocket {
    /// Binds a port, on one of our addresses or on all.
    ///
    /// # Errors
    /// [`super::Error::AddressInUse`] if it is taken, or none is free.
    pub fn bind(address: impl Into<LocalAddress>) -> Result<Self> {
        let LocalAddress { ip, port } = address.into();
        Ok(Self { port: driver::with(|stack| stack.udp_bind(ip, port))? })
    }

    /// The port, also where any was asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for a datagram, cuts it to `buffer`, and says how long it then is and who sent it. What nobody reads is kept up
    /// to 256 datagrams or 256 KiB, and dropped beyond. Cancelling loses nothing.
    ///
    /// # Errors
    /// None at present.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        poll_fn(|context| {
            let received = driver::with(|stack| stack.udp_receive(self.port, buffer, context.waker()));
            received.map_or(Poll::Pending, |received| Poll::Ready(Ok(received)))
        })
        .await
    }

    /// Sends a datagram of at most the MTU less its headers, after waiting for room in the NIC's queue.
    ///
    /// # Errors
    /// [`super::Error::NoRoute`], [`super::Error::TooLong`], [`super::Error::InvalidAddress`] for port 0.
    pub async fn send_to(&self, payload: &[u8], to: SocketAddr) -> Result<()> {
        poll_fn(|context| {
            driver::with(|stack| match stack.udp_send(self.port, payload, to) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => {
                    stack.wait_for_room(context.waker());
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        driver::with(|stack| stack.udp_unbind(self.port));
    }
}
