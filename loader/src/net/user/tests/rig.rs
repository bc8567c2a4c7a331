//! The test rig: a helper process and a guest made of smoltcp sockets.
#![expect(unsafe_code, reason = "forks the helper, as the launcher does")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{self, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::super::link::MESSAGE_BYTES;
use super::super::policy::Policy;
use super::super::prepare::Published;
use super::super::{Prepared, UserNet, frame_pair};
use crate::net::tap::VNET_HEADER_BYTES;

/// Long enough for anything to happen that will happen at all, on the slowest machine.
const STUCK: StdDuration = StdDuration::from_secs(60);

/// A helper process. Ends when its guest's end is closed.
#[derive(Debug)]
pub(super) struct HelperProcess {
    pub(super) pid: i32,
    /// Where the published ports are, in the order asked for.
    pub(super) published: Vec<SocketAddr>,
}

/// How the guest sees its helper.
pub(super) struct Rig {
    pub(super) helper: HelperProcess,
    pub(super) guest: Guest,
}

/// `--publish` and `--allow` values, the resolver if DNS is among them, and the helper's limit of descriptors.
#[derive(Debug, Default)]
pub(super) struct Options<'a> {
    pub(super) publish: &'a [&'a str],
    pub(super) allow: &'a [String],
    pub(super) resolver: Option<SocketAddr>,
    pub(super) descriptors: Option<u64>,
}

impl Rig {
    pub(super) fn publish(ports: &[&str]) -> Self {
        Self::new(&Options { publish: ports, ..Options::default() })
    }

    pub(super) fn allow(rules: &[String]) -> Self {
        Self::new(&Options { allow: rules, ..Options::default() })
    }

    pub(super) fn new(options: &Options<'_>) -> Self {
        let published: Vec<Published> =
            options.publish.iter().map(|text| Published::open(&text.parse().unwrap()).unwrap()).collect();
        let allow: Vec<_> = options.allow.iter().map(|text| text.parse().unwrap()).collect();
        let policy = Policy::new(&allow, || Ok(options.resolver.unwrap())).unwrap();
        let addresses = published.iter().map(|published| published.bound).collect();
        let prepared = Prepared { published, policy };
        let (host, guest) = frame_pair().unwrap();
        // SAFETY: the child has one thread and runs nothing but the helper; what it inherits of other tests it closes.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(guest);
            // A panic must not unwind into a second copy of the test.
            std::panic::set_hook(Box::new(|panic| {
                let _ = writeln!(std::io::stderr(), "helper: {panic}");
                crate::exit::at_once(hvcall::ExitCode(101));
            }));
            if let Some(limit) = options.descriptors {
                let limit = rustix::process::Rlimit { current: Some(limit), maximum: Some(limit) };
                rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
            }
            prepared.run(host);
        }
        assert!(pid > 0);
        drop((host, prepared));
        Self { helper: HelperProcess { pid, published: addresses }, guest: Guest::new(guest) }
    }

    /// Closes the guest's end and expects the helper to end well.
    pub(super) fn finish(self) {
        let pid = self.helper.pid;
        drop(self);
        assert_eq!(wait_status(pid), 0, "the helper's wait status");
    }

    /// Runs a guest that echoes on `port` until `host` is done.
    pub(super) fn echo_until<T>(&mut self, port: u16, host: JoinHandle<T>) -> T {
        self.guest.listen(port, 8);
        self.guest.until(|guest| {
            guest.echo();
            host.is_finished()
        });
        host.join().unwrap()
    }
}

/// What `waitpid` says about `pid`.
pub(super) fn wait_status(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is a place for an integer that outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// A frame that follows its offload header, with the checksum that the header leaves to whoever passes it on.
pub(super) fn finish_frame(message: &[u8]) -> Vec<u8> {
    let (header, frame) = message.split_at(VNET_HEADER_BYTES);
    let mut frame = frame.to_vec();
    let field = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    assert!(header[0] <= 1 && header[1..6].iter().all(|byte| *byte == 0), "{header:?}");
    if header[0] == 1 {
        let (start, offset) = (field(6), field(8));
        let sum = !smoltcp::wire::checksum::data(&frame[start..]);
        frame[start + offset..][..2].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

/// The guest's end of the pair as an Ethernet device.
#[derive(Debug)]
pub(super) struct Wire(OwnedFd);

impl Wire {
    pub(super) fn receive_frame(&self) -> Option<Vec<u8>> {
        let mut message = vec![0; MESSAGE_BYTES];
        let (size, _) = recv(&self.0, &mut message[..], RecvFlags::DONTWAIT).ok()?;
        (size > 0).then(|| finish_frame(&message[..size]))
    }

    /// Sends a frame, unless the helper has to read others first.
    fn try_send_frame(&self, frame: &[u8]) -> Result<(), Errno> {
        let message = [&[0; VNET_HEADER_BYTES], frame].concat();
        send(&self.0, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
    }

    /// Sends a frame; waits for the helper to read others first if need be.
    pub(super) fn send_frame(&self, frame: &[u8]) {
        loop {
            match self.try_send_frame(frame) {
                Ok(()) => return,
                Err(Errno::AGAIN) => std::thread::yield_now(),
                Err(errno) => panic!("the helper is gone: {errno}"),
            }
        }
    }
}

impl Device for Wire {
    type RxToken<'t> = Incoming;
    type TxToken<'t> = Outgoing<'t>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        Some((Incoming(self.receive_frame()?), Outgoing(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        let mut end = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::OUT)];
        poll(&mut end, Some(&Timespec::default())).unwrap();
        end[0].revents().contains(PollFlags::OUT).then_some(Outgoing(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = usize::from(UserNet::MTU) + 14;
        capabilities
    }
}

/// A received frame.
pub(super) struct Incoming(Vec<u8>);

impl phy::RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// A frame to be sent.
pub(super) struct Outgoing<'a>(&'a Wire);

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        // Full, or the helper is gone: lost.
        let _ = self.0.try_send_frame(&frame);
        result
    }
}

/// A guest: Ethernet, ARP and NDP by smoltcp, so that the helper's own are put to use.
pub(super) struct Guest {
    pub(super) wire: Wire,
    pub(super) interface: Interface,
    pub(super) sockets: SocketSet<'static>,
    pub(super) listeners: Vec<(SocketHandle, u16)>,
    start: StdInstant,
}

impl Guest {
    fn new(end: OwnedFd) -> Self {
        let mut wire = Wire(end);
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(UserNet::GUEST_MAC)));
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::Ipv4(UserNet::GUEST_V4), UserNet::PREFIX_V4)).unwrap();
            addresses.push(IpCidr::new(IpAddress::Ipv6(UserNet::GUEST_V6), UserNet::PREFIX_V6)).unwrap();
        });
        interface.routes_mut().add_default_ipv4_route(UserNet::GATEWAY_V4).unwrap();
        interface.routes_mut().add_default_ipv6_route(UserNet::GATEWAY_V6).unwrap();
        let sockets = SocketSet::new(Vec::new());
        Self { wire, interface, sockets, listeners: Vec::new(), start: StdInstant::now() }
    }

    pub(super) fn tcp_socket() -> tcp::Socket<'static> {
        let buffer = || SocketBuffer::new(vec![0; 64 * 1024]);
        tcp::Socket::new(buffer(), buffer())
    }

    /// Listens on `port` with room for `backlog` connections.
    pub(super) fn listen(&mut self, port: u16, backlog: usize) {
        for _ in 0..backlog {
            let mut socket = Self::tcp_socket();
            socket.listen(port).unwrap();
            self.listeners.push((self.sockets.add(socket), port));
        }
    }

    pub(super) fn connect(&mut self, remote: SocketAddr, local_port: u16) -> SocketHandle {
        let mut socket = Self::tcp_socket();
        let remote = (IpAddress::from(remote.ip()), remote.port());
        socket.connect(self.interface.context(), remote, local_port).unwrap();
        self.sockets.add(socket)
    }

    pub(super) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Serves every listener as an echo server that ends when its caller does.
    pub(super) fn echo(&mut self) {
        for (handle, port) in &self.listeners {
            let socket: &mut tcp::Socket<'_> = self.sockets.get_mut(*handle);
            if socket.state() == State::Closed || socket.state() == State::TimeWait {
                socket.abort();
                socket.listen(*port).unwrap();
            }
            while socket.can_recv() && socket.can_send() {
                let room = socket.send_capacity() - socket.send_queue();
                let mut data = vec![0; room.min(16 * 1024)];
                let taken = socket.recv_slice(&mut data).unwrap();
                assert_eq!(socket.send_slice(&data[..taken]), Ok(taken));
            }
            if socket.state() == State::CloseWait && !socket.can_recv() {
                socket.close();
            }
        }
    }

    /// Polls until `done`.
    pub(super) fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let begun = StdInstant::now();
        while !done(self) {
            assert!(begun.elapsed() < STUCK, "nothing happens");
            let now = Instant::from_micros(i64::try_from(self.start.elapsed().as_micros()).unwrap());
            self.interface.poll(now, &mut self.wire, &mut self.sockets);
            let fd = self.wire.0.as_fd();
            let tick = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&tick)).unwrap();
        }
    }
}

/// Bytes that are different at every place and for every seed.
pub(super) fn bytes(seed: u64, size_bytes: usize) -> Vec<u8> {
    let (mut random, mut bytes) = (Random(seed + 1), Vec::with_capacity(size_bytes + 8));
    while bytes.len() < size_bytes {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes
}

/// A megabyte of them.
pub(super) fn megabyte(seed: u64) -> Vec<u8> {
    bytes(seed, 1 << 20)
}

/// Marsaglia's xorshift64: the same numbers in every run.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

pub(super) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(STUCK)).unwrap();
    stream.set_write_timeout(Some(STUCK)).unwrap();
    stream
}

/// Sends `data` and its end, and returns all that comes back.
pub(super) fn exchange(mut stream: TcpStream, data: &[u8]) -> Vec<u8> {
    std::thread::scope(|scope| {
        let mut reader = stream.try_clone().unwrap();
        let answer = scope.spawn(move || {
            let mut answer = Vec::new();
            reader.read_to_end(&mut answer).unwrap();
            answer
        });
        stream.write_all(data).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        answer.join().unwrap()
    })
}

/// Expects that the other end resets `stream`.
pub(super) fn expect_reset(mut stream: TcpStream) {
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}
