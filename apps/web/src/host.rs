//! What the server needs from the machine, so that tests can put a scripted one in its place.

use core::fmt;
use core::future::Future;
use core::time::Duration;

use embedded_io_async::{Read, Write};

/// Streams, time, shut-down and a place for log lines.
pub trait Host {
    /// A connection. What is written to it is sent without being flushed.
    type Stream: Read + Write;

    /// Ends the sending half of a stream, behind what has been written; the receiving half stays open.
    fn end(&self, stream: &mut Self::Stream);

    /// Monotonic time since some fixed moment.
    fn now(&self) -> Duration;

    /// Seconds since 1970-01-01 UTC. Asked at most once per second of [`Self::now`].
    fn unix_seconds(&self) -> u64;

    /// Runs `future` for at most `limit`; `None` if it was not done by then.
    fn timeout<F: Future>(&self, limit: Duration, future: F) -> impl Future<Output = Option<F::Output>>;

    /// Whether the appliance is to end.
    fn is_closing(&self) -> bool;

    /// Completes when the appliance is to end.
    fn closing(&self) -> impl Future<Output = ()>;

    /// Writes one line to the access log.
    fn log(&self, line: fmt::Arguments<'_>);
}
