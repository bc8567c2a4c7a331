//! From one connection to another, and listeners that stop: what a proxy needs.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Poll, Waker};
use core::time::Duration;

use super::super::Error;
use super::super::tcp::{Buffers, ConnectionId, ForwardError, Forwarded};
use super::{Dice, Pair, accept, listen, read, v4, write};

/// A proxy on host 2: a client on host 1 is led to a server on host 1. Gives both ends of both connections.
struct Proxy {
    pair: Pair,
    client: ConnectionId,
    inward: ConnectionId,
    outward: ConnectionId,
    server: ConnectionId,
}

impl Proxy {
    fn new() -> Self {
        let mut pair = Pair::new();
        listen(&mut pair.two, 80);
        listen(&mut pair.one, 90);
        let (client, inward) = pair.connect(v4(2), 80).unwrap();
        let (outward, _) = pair.two.tcp_connect(SocketAddr::new(v4(1), 90), Buffers::default()).unwrap();
        pair.settle();
        let server = accept(&mut pair.one, 90).unwrap();
        Self { pair, client, inward, outward, server }
    }

    fn up(&mut self) -> Result<Forwarded, ForwardError> {
        self.pair.two.tcp_forward(self.inward, self.outward, Waker::noop())
    }
}

#[test]
fn what_arrives_on_one_connection_leaves_on_the_other_unchanged() {
    let mut proxy = Proxy::new();
    let mut dice = Dice(7);
    let data: Vec<u8> = (0..300_000).map(|_| dice.next().to_le_bytes()[0]).collect();
    let (mut sent, mut got, mut counted) = (0, Vec::new(), 0);
    let mut buffer = [0; 4096];
    let end = proxy.pair.now.saturating_add(Duration::from_secs(60));
    while got.len() < data.len() {
        sent += write(&mut proxy.pair.one, proxy.client, &data[sent..]);
        counted += proxy.up().unwrap().bytes;
        while let Some(Ok(size_bytes)) = read(&mut proxy.pair.one, proxy.server, &mut buffer) {
            got.extend_from_slice(&buffer[..size_bytes]);
        }
        assert!(proxy.pair.now < end, "stuck at {} bytes", got.len());
        proxy.pair.step(end);
    }
    assert!(got == data);
    assert_eq!(counted, data.len());
}

#[test]
fn a_side_that_takes_nothing_closes_the_other_sides_window() {
    let mut proxy = Proxy::new();
    let data = vec![1; 1 << 20];
    let mut sent = 0;
    for _ in 0..200 {
        sent += write(&mut proxy.pair.one, proxy.client, &data[sent..]);
        let _moved = proxy.up().unwrap();
        proxy.pair.pass(Duration::from_millis(20));
    }
    // The server's receive buffer, and a send and a receive buffer on each side of the proxy, are all there is room for.
    let buffers = Buffers::default();
    let most = 2 * (buffers.receive_bytes + buffers.send_bytes);
    assert!(sent <= most, "{sent} bytes were taken");
    assert_eq!(proxy.up().unwrap(), Forwarded::default());
}

#[test]
fn an_end_of_stream_comes_after_everything_before_it() {
    let mut proxy = Proxy::new();
    assert_eq!(write(&mut proxy.pair.one, proxy.client, b"last words"), 10);
    proxy.pair.one.tcp_shutdown(proxy.client);
    proxy.pair.settle();
    assert_eq!(proxy.up(), Ok(Forwarded { bytes: 10, finished: true }));
    // The other direction is open.
    proxy.pair.settle();
    assert_eq!(write(&mut proxy.pair.one, proxy.server, b"answer"), 6);
    proxy.pair.settle();
    let down = proxy.pair.two.tcp_forward(proxy.outward, proxy.inward, Waker::noop());
    assert_eq!(down, Ok(Forwarded { bytes: 6, finished: false }));
}

#[test]
fn a_failure_is_that_of_the_side_that_failed() {
    let mut proxy = Proxy::new();
    proxy.pair.one.tcp_release(proxy.client, true);
    proxy.pair.settle();
    assert_eq!(proxy.up(), Err(ForwardError::Read(Error::Reset)));
    let mut proxy = Proxy::new();
    proxy.pair.one.tcp_release(proxy.server, true);
    proxy.pair.settle();
    assert_eq!(proxy.up(), Err(ForwardError::Write(Error::Reset)));
    let (two, id) = (&mut proxy.pair.two, proxy.inward);
    assert_eq!(two.tcp_forward(id, id, Waker::noop()), Err(ForwardError::Read(Error::NotConnected)));
}

#[test]
fn a_stopped_listener_gives_those_who_had_come_and_refuses_others() {
    let mut pair = Pair::new();
    listen(&mut pair.two, 80);
    let to = SocketAddr::new(v4(2), 80);
    let (early, _) = pair.one.tcp_connect(to, Buffers::default()).unwrap();
    pair.settle();
    // This one's SYN has been answered, and its acknowledgement is on the way.
    let (amid, _) = pair.one.tcp_connect(to, Buffers::default()).unwrap();
    pair.one.poll(pair.now);
    pair.link.carry(&mut pair.one, &mut pair.two, pair.now);
    assert_eq!(pair.two.stats().handshakes, 1);
    pair.two.tcp_stop_listening(80);
    let (late, _) = pair.one.tcp_connect(to, Buffers::default()).unwrap();
    pair.settle();
    assert_eq!(pair.one.tcp_connected(early, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(pair.one.tcp_connected(amid, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(pair.one.tcp_connected(late, Waker::noop()), Poll::Ready(Err(Error::Refused)));
    assert!(accept(&mut pair.two, 80).is_some() && accept(&mut pair.two, 80).is_some());
    assert!(matches!(pair.two.tcp_accept(80, Waker::noop()), Poll::Ready(Err(Error::NotConnected))));
}
