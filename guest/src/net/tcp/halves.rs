//! The two directions of a TCP connection, for reading and writing at once.

use core::future::poll_fn;
use core::marker::PhantomData;

use embedded_io_async::{ErrorType, Read, Write};

use super::connection::ConnectionId;
use crate::net::{Error, Result, driver};

/// Reads what there is, at least a byte; 0 at the end of the stream.
pub(super) async fn read(id: ConnectionId, buffer: &mut [u8]) -> Result<usize> {
    poll_fn(|context| driver::with(|stack| stack.tcp_read(id, buffer, context.waker()))).await
}

/// Writes what there is room for, at least a byte.
pub(super) async fn write(id: ConnectionId, bytes: &[u8]) -> Result<usize> {
    poll_fn(|context| driver::with(|stack| stack.tcp_write(id, bytes, context.waker()))).await
}

/// The reading half of a borrowed [`super::TcpStream`].
#[derive(Debug)]
pub struct ReadHalf<'a>(ConnectionId, PhantomData<&'a mut ()>);

/// The writing half of a borrowed [`super::TcpStream`].
#[derive(Debug)]
pub struct WriteHalf<'a>(ConnectionId, PhantomData<&'a mut ()>);

/// The reading half of a [`super::TcpStream`].
#[derive(Debug)]
pub struct OwnedReadHalf(ConnectionId);

/// The writing half of a [`super::TcpStream`]. Dropping it ends our half of the stream.
#[derive(Debug)]
pub struct OwnedWriteHalf(ConnectionId);

impl ReadHalf<'_> {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self(id, PhantomData)
    }
}

impl WriteHalf<'_> {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self(id, PhantomData)
    }
}

impl OwnedReadHalf {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self(id)
    }
}

impl OwnedWriteHalf {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self(id)
    }
}

impl Drop for OwnedReadHalf {
    fn drop(&mut self) {
        driver::with(|stack| stack.tcp_release(self.0, false));
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        driver::with(|stack| {
            stack.tcp_shutdown(self.0);
            stack.tcp_release(self.0, false);
        });
    }
}

macro_rules! reads {
    ($half:ty) => {
        impl ErrorType for $half {
            type Error = Error;
        }

        impl Read for $half {
            async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
                read(self.0, buffer).await
            }
        }
    };
}

macro_rules! writes {
    ($half:ty) => {
        impl ErrorType for $half {
            type Error = Error;
        }

        impl Write for $half {
            async fn write(&mut self, bytes: &[u8]) -> Result<usize> {
                write(self.0, bytes).await
            }

            async fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
    };
}

reads!(ReadHalf<'_>);
reads!(OwnedReadHalf);
writes!(WriteHalf<'_>);
writes!(OwnedWriteHalf);
