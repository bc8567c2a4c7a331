//! The stack against itself: two of them joined by a link that can lose, reorder and spoil frames.

mod calls;
mod forward;
mod hostile;
mod link;
mod names;
mod neighbors;
mod offload;
mod tcp;
mod udp;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;

use hvcall::NicInfo;
use hvcall::boot::{IP_STATIC, Ipv4Config, Ipv6Config};

use super::stack::Stack;
use super::tcp::{Buffers, ConnectionId, ListenOptions};
use super::{Error, Result};
use crate::time::Instant;

/// A repeatable sequence (splitmix64), for the stacks' own choices.
fn random() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(1);
    mix(STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// A repeatable sequence for a test's own choices.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// True once in `one_in` times; never for 0.
    fn hits(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.below(one_in) == 0
    }
}

/// The MAC of host `number`.
fn mac(number: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, 0, number]
}

/// The IPv4 address of host `number`.
fn v4(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
}

/// The IPv6 address of host `number`.
fn v6(number: u8) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()))
}

/// A NIC with static addresses, the router being host 1.
fn nic(number: u8) -> NicInfo {
    NicInfo {
        mac: mac(number),
        mtu: 1500,
        ipv4: Ipv4Config {
            address: [10, 0, 0, number],
            gateway: [10, 0, 0, 1],
            prefix: 24,
            flags: IP_STATIC,
            ..Ipv4Config::default()
        },
        ipv6: Ipv6Config {
            address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).octets(),
            prefix: 64,
            flags: IP_STATIC,
            ..Ipv6Config::default()
        },
        ..NicInfo::default()
    }
}

/// A NIC without addresses.
fn bare_nic(number: u8) -> NicInfo {
    NicInfo { mac: mac(number), mtu: 1500, ..NicInfo::default() }
}

/// A stack with one NIC.
fn stack(info: &NicInfo) -> Stack {
    let mut stack = Stack::new(random, usize::MAX);
    stack.add_nic(info, None, Instant::default());
    stack
}

/// What a stack wants to send right now.
fn sent(stack: &mut Stack, now: Instant) -> Vec<Vec<u8>> {
    stack.poll(now);
    let mut frames = Vec::new();
    while let Some(frame) = stack.pop_frame(0) {
        frames.push(frame.bytes.clone());
        assert!(frames.len() < 2_000, "sends for ever");
        stack.recycle(0, frame);
        stack.poll(now);
    }
    frames
}

/// The result of an operation that must not wait.
fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waits"),
    }
}

fn accept(stack: &mut Stack, port: u16) -> Option<ConnectionId> {
    match stack.tcp_accept(port, Waker::noop()) {
        Poll::Ready(Ok((id, _))) => Some(id),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

fn read(stack: &mut Stack, id: ConnectionId, buffer: &mut [u8]) -> Option<Result<usize>> {
    match stack.tcp_read(id, buffer, Waker::noop()) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn write(stack: &mut Stack, id: ConnectionId, bytes: &[u8]) -> usize {
    match stack.tcp_write(id, bytes, Waker::noop()) {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => 0,
    }
}

/// Hosts 1 and 2 on a link.
struct Pair {
    now: Instant,
    one: Stack,
    two: Stack,
    link: link::Link,
}

impl Pair {
    fn new() -> Self {
        Self::of(stack(&nic(1)), stack(&nic(2)))
    }

    fn of(one: Stack, two: Stack) -> Self {
        let now = Instant::default().saturating_add(Duration::from_secs(1));
        Self { now, one, two, link: link::Link::new() }
    }

    /// Carries frames until both are quiet, without letting time pass.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.one.poll(self.now);
            self.two.poll(self.now);
            if !self.link.carry(&mut self.one, &mut self.two, self.now) {
                return;
            }
        }
        panic!("the stacks never come to rest");
    }

    /// Lets time pass until a stack's timer is due, or until `limit`, and settles.
    fn step(&mut self, limit: Instant) {
        let due = self.one.deadline().min(self.two.deadline()).min(self.link.deadline());
        let soon = self.now.saturating_add(Duration::from_micros(100));
        self.now = due.max(soon).min(limit.max(soon));
        self.settle();
    }

    /// Lets `time` pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        while self.now < end {
            self.step(end);
        }
    }

    /// A connection from host 1 to a listener on host 2.
    fn connect(&mut self, to: IpAddr, port: u16) -> Result<(ConnectionId, ConnectionId)> {
        let (client, _) = self.one.tcp_connect(SocketAddr::new(to, port), Buffers::default())?;
        let end = self.now.saturating_add(Duration::from_secs(40));
        loop {
            self.settle();
            match self.one.tcp_connected(client, Waker::noop()) {
                Poll::Ready(Ok(())) => {
                    if let Some(server) = accept(&mut self.two, port) {
                        return Ok((client, server));
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.one.tcp_release(client, true);
                    return Err(error);
                }
                Poll::Pending => {}
            }
            assert!(self.now < end, "neither connected nor refused");
            self.step(end);
        }
    }
}

fn listen(stack: &mut Stack, port: u16) {
    stack.tcp_listen(None, port, ListenOptions::default()).unwrap();
}

/// `Error` is small enough to be returned everywhere.
const _: () = assert!(size_of::<Error>() == 1);
