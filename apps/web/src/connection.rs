//! One connection from its first byte to its last.
//!
//! Everything that has arrived is answered before the next wait, and the answers to pipelined requests leave together, in
//! order. A connection is cut, not answered, when its client is too slow to be worth memory.

use alloc::vec::Vec;
use core::fmt::Display;
use core::time::Duration;

use embassy_futures::select::{Either, select};
use embedded_io_async::{Read, Write};

use crate::buffer::{IDLE_BYTES, Input};
use crate::choose::{Reply, choose};
use crate::head::{FieldSlots, Framing, Head, MAX_DISCARD_BYTES, MAX_FIELDS};
use crate::host::Host;
use crate::reply::Envelope;
use crate::server::{Admission, Server};
use crate::status::Status;

/// Bodies up to this size are copied behind their heads, so that both leave in one write.
const MAX_COPIED_BYTES: usize = 2 * 1024;
/// Answers to pipelined requests are collected up to about this size before they are written.
const MAX_COLLECTED_BYTES: usize = 16 * 1024;
/// Longest part of a request target that is logged.
const MAX_LOGGED_BYTES: usize = 256;

/// The client has failed, left, or stalled: there is nobody to tell.
struct Lost;

/// What is left to do for a request once the head of its answer stands in the output buffer.
struct Exchange {
    body: &'static [u8],
    then: Framing,
}

struct Connection<'s, H: Host, P> {
    server: &'s Server<H>,
    stream: H::Stream,
    peer: P,
    input: Input,
    output: Vec<u8>,
    /// When the head that has begun to arrive must be complete.
    head_deadline: Option<Duration>,
    /// How long the client may stay silent before its next head.
    patience: Duration,
}

impl<H: Host> Admission<'_, H> {
    /// Serves a connection until either side ends it. `peer` is how the access log calls the client.
    pub async fn serve(self, stream: H::Stream, peer: impl Display) {
        let mut connection = Connection {
            server: self.server,
            stream,
            peer,
            input: Input::new(),
            output: Vec::with_capacity(IDLE_BYTES),
            head_deadline: None,
            patience: self.server.limits.head,
        };
        let work = if self.is_refusal {
            connection.refuse_and_finish(Status::ServiceUnavailable).await
        } else {
            connection.run().await
        };
        // A client that is lost needs nothing more than that its memory becomes free, which happens here.
        let (Ok(()) | Err(Lost)) = work;
    }
}

impl<H: Host, P: Display> Connection<'_, H, P> {
    async fn run(&mut self) -> Result<(), Lost> {
        loop {
            while let Some(exchange) = self.answer() {
                self.send(exchange.body).await?;
                match exchange.then {
                    Framing::Next(0) => {}
                    Framing::Next(body_bytes) => self.discard(body_bytes, self.server.limits.discard).await?,
                    Framing::Last | Framing::Abandoned => return self.finish().await,
                }
            }
            self.flush().await?;
            if self.input.unread().is_empty() {
                self.next_head().await?;
            } else if self.rest_of_head().await?.is_none() {
                return self.refuse_and_finish(Status::RequestTimeout).await;
            }
        }
    }

    /// Waits for the first bytes of a head. Silence and shut-down end the connection without a word.
    async fn next_head(&mut self) -> Result<(), Lost> {
        let host = &self.server.host;
        let first = select(self.stream.read(self.input.room()), host.closing());
        match host.timeout(self.patience, first).await {
            Some(Either::First(Ok(count))) if count > 0 => self.input.advance(count),
            _ => return Err(Lost),
        }
        self.patience = self.server.limits.idle;
        Ok(())
    }

    /// Waits for more bytes of a head. `None`: it has taken too long.
    async fn rest_of_head(&mut self) -> Result<Option<()>, Lost> {
        let Server { host, limits, .. } = self.server;
        let deadline = *self.head_deadline.get_or_insert_with(|| host.now().saturating_add(limits.head));
        let left = deadline.saturating_sub(host.now());
        match host.timeout(left, self.stream.read(self.input.room())).await {
            None => Ok(None),
            Some(Ok(count)) if count > 0 => {
                self.input.advance(count);
                Ok(Some(()))
            }
            Some(_) => Err(Lost),
        }
    }

    /// Answers the request at the front of the input: its head is consumed, the reply's head stands in the output.
    /// `None` if no whole head is there.
    fn answer(&mut self) -> Option<Exchange> {
        let server = self.server;
        let mut slots: FieldSlots<'_> = [const { core::mem::MaybeUninit::uninit() }; MAX_FIELDS];
        let input = self.input.unread();
        let head = match Head::parse(input, &mut slots) {
            Ok(head) => head?,
            Err(status) => return Some(self.refuse(status)),
        };
        let (reply, framing) = match head.framing() {
            Ok(framing) => (choose(&head, server.site), framing),
            Err(status) => (Reply::Error(status), Framing::Abandoned),
        };
        let then = if server.host.is_closing() { framing.without_next() } else { framing };
        let connection = match then {
            Framing::Next(_) => (head.minor == 0).then_some("keep-alive"),
            Framing::Last | Framing::Abandoned => Some("close"),
        };
        let date = server.date();
        reply.write(&Envelope { site: server.site, date: &date, connection }, &mut self.output);
        let body = if head.method == "HEAD" { b"" } else { reply.body() };
        if server.logs {
            let target = head.target.as_bytes();
            let target = &target[..target.len().min(MAX_LOGGED_BYTES)];
            let (peer, method, code) = (&self.peer, head.method, reply.status().code());
            server.host.log(format_args!("{peer} {method} {} {code} {}", target.escape_ascii(), body.len()));
        }
        let head_bytes = head.size_bytes;
        self.input.consume(head_bytes);
        self.head_deadline = None;
        Some(Exchange { body, then })
    }

    /// Answers what is not a request with an error; the connection ends with it.
    fn refuse(&mut self, status: Status) -> Exchange {
        let server = self.server;
        let reply = Reply::Error(status);
        let date = server.date();
        reply
            .write(&Envelope { site: server.site, date: &date, connection: Some("close") }, &mut self.output);
        if server.logs {
            server.host.log(format_args!("{} - - {} {}", self.peer, status.code(), reply.body().len()));
        }
        Exchange { body: reply.body(), then: Framing::Abandoned }
    }

    /// Answers with an error that no request is to blame for, and ends the connection.
    async fn refuse_and_finish(&mut self, status: Status) -> Result<(), Lost> {
        let exchange = self.refuse(status);
        self.send(exchange.body).await?;
        self.finish().await
    }

    /// Sends a body behind what stands in the output: a small one together with it, a large one straight from the image.
    async fn send(&mut self, body: &'static [u8]) -> Result<(), Lost> {
        if body.len() <= MAX_COPIED_BYTES {
            self.output.extend_from_slice(body);
            if self.output.len() < MAX_COLLECTED_BYTES {
                return Ok(());
            }
            return self.flush().await;
        }
        self.flush().await?;
        write_all(&mut self.stream, body, self.server).await
    }

    /// Writes what stands in the output.
    async fn flush(&mut self) -> Result<(), Lost> {
        write_all(&mut self.stream, &self.output, self.server).await?;
        self.output.clear();
        self.output.shrink_to(IDLE_BYTES);
        Ok(())
    }

    /// Writes what stands in the output and ends the connection.
    ///
    /// What the client still sends is read for a while: a stream closed with bytes unread is reset, and the reset would
    /// overtake the answer.
    async fn finish(&mut self) -> Result<(), Lost> {
        self.flush().await?;
        self.server.host.end(&mut self.stream);
        self.discard(MAX_DISCARD_BYTES, self.server.limits.linger).await
    }

    /// Reads and throws away the next `count` bytes, within `limit`.
    async fn discard(&mut self, count: usize, limit: Duration) -> Result<(), Lost> {
        let mut left = count - self.input.consume(count);
        if left == 0 {
            return Ok(());
        }
        // The client may want its answer before it sends on.
        self.flush().await?;
        let host = &self.server.host;
        let deadline = host.now().saturating_add(limit);
        while left > 0 {
            let rest = deadline.saturating_sub(host.now());
            match host.timeout(rest, self.stream.read(self.input.room())).await {
                Some(Ok(count)) if count > 0 => self.input.advance(count),
                _ => return Err(Lost),
            }
            left -= self.input.consume(left);
        }
        Ok(())
    }
}

/// Writes all of `bytes`, as long as the client takes some of them now and then.
async fn write_all<H: Host, S: Write>(stream: &mut S, bytes: &[u8], server: &Server<H>) -> Result<(), Lost> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match server.host.timeout(server.limits.stall, stream.write(rest)).await {
            Some(Ok(count)) if count > 0 => rest = rest.get(count..).unwrap_or_default(),
            _ => return Err(Lost),
        }
    }
    Ok(())
}
