//! Bytes from a client to its backend and back, until both have said all they will.

use core::future::{Future as _, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use guest::executor::{Sleep, sleep_until};
use guest::net::{ForwardError, TcpStream};
use guest::time::{Duration, Instant};
use lb::counters::{BackendCounters, Counter};

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both sides have sent all they will.
    Finished,
    /// The client's connection broke.
    ClientFailed,
    /// The backend's connection broke.
    BackendFailed,
    /// Nothing moved for too long.
    Idle,
}

/// Relays. What has been taken in when it ends is still delivered if the streams are dropped, and lost if they are aborted.
///
/// There is no buffer here: a side that takes nothing fills the other side's socket buffer, whose window then closes.
pub(crate) async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    counters: &BackendCounters,
    idle_timeout: Duration,
) -> Outcome {
    let (mut up, mut down) = (Way::default(), Way::default());
    let mut alarm = pin!(Alarm::new(idle_timeout));
    poll_fn(|context| {
        let waker = context.waker();
        let moved_up = match up.advance(client, server, &counters.bytes_in, waker) {
            Ok(moved) => moved,
            Err(ForwardError::Read(_)) => return Poll::Ready(Outcome::ClientFailed),
            Err(ForwardError::Write(_)) => return Poll::Ready(Outcome::BackendFailed),
        };
        let moved_down = match down.advance(server, client, &counters.bytes_out, waker) {
            Ok(moved) => moved,
            Err(ForwardError::Read(_)) => return Poll::Ready(Outcome::BackendFailed),
            Err(ForwardError::Write(_)) => return Poll::Ready(Outcome::ClientFailed),
        };
        if up.finished && down.finished {
            return Poll::Ready(Outcome::Finished);
        }
        alarm.as_mut().poll(moved_up || moved_down, context)
    })
    .await
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    finished: bool,
}

impl Way {
    /// Moves what can be moved, and passes an end of stream on. Says whether anything was moved.
    fn advance(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        counter: &Counter,
        waker: &Waker,
    ) -> Result<bool, ForwardError> {
        if self.finished {
            return Ok(false);
        }
        let forwarded = from.forward(to, waker)?;
        counter.add(forwarded.bytes as u64);
        if forwarded.finished {
            self.finished = true;
            to.shutdown();
        }
        Ok(forwarded.bytes > 0 || forwarded.finished)
    }
}

/// The idle timeout. Bytes that move only move a moment: the timer stays where it is until it fires, and is then set anew.
struct Alarm {
    limit: Duration,
    moved: Instant,
    sleep: Sleep,
    is_set: bool,
}

impl Alarm {
    fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self { limit, moved: now, sleep: sleep_until(now.saturating_add(limit)), is_set: false }
    }

    /// Says when time is up. `moved`: something has moved just now.
    fn poll(mut self: Pin<&mut Self>, moved: bool, context: &mut Context<'_>) -> Poll<Outcome> {
        let now = Instant::now();
        if moved {
            self.moved = now;
        }
        if self.is_set && now < self.sleep.deadline() {
            return Poll::Pending;
        }
        let deadline = self.moved.saturating_add(self.limit);
        if now >= deadline {
            return Poll::Ready(Outcome::Idle);
        }
        self.sleep = sleep_until(deadline);
        self.is_set = true;
        Pin::new(&mut self.sleep).poll(context).map(|()| Outcome::Idle)
    }
}
