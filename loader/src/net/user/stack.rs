//! The helper's end of TCP: one smoltcp interface, and one socket set of one socket per connection.
//!
//! smoltcp looks for a segment's socket by asking each socket of a set. With sets of one, found by a hash of the addresses,
//! a segment costs the same whether there are ten connections or four thousand.

use core::net::SocketAddr;

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, SocketBuffer};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint};

use super::addresses::{UserNet, guest_towards};
use super::link::{Link, Port};
use super::packet::FlowKey;

/// Room for data in each direction of a connection.
pub(super) const TCP_BUFFER_BYTES: usize = 64 * 1024;

/// Socket sets that are kept for the next connection.
const SPARE: usize = 256;

/// For how long after its first frame a guest may still be about to listen: a refused call is tried again so long.
const STARTING: Duration = Duration::from_secs(2);

/// The interface, the link under it, and the time.
pub(super) struct Stack {
    pub(super) link: Link,
    pub(super) now: Instant,
    interface: Interface,
    nobody: SocketSet<'static>,
    spare: Vec<Endpoint>,
    first_frame: Option<Instant>,
}

/// The guest-facing end of one connection.
#[derive(Debug)]
pub(super) struct Endpoint {
    set: SocketSet<'static>,
    handle: SocketHandle,
}

impl Endpoint {
    fn new() -> Self {
        let buffer = || SocketBuffer::new(vec![0; TCP_BUFFER_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        // Whoever wrote the data decided on its pieces; holding them back would only add delay.
        socket.set_nagle_enabled(false);
        // A guest whose send buffer is below two segments waits for the acknowledgement of each: answer at once.
        socket.set_ack_delay(None);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        Self { set, handle }
    }

    /// The socket.
    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }
}

impl Stack {
    /// `seed` makes sequence numbers differ from run to run.
    pub(super) fn new(mut link: Link, seed: u64) -> Self {
        let now = Instant::ZERO;
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut Port { link: &mut link, packet: None }, now);
        interface.update_ip_addrs(|addresses| {
            // There is room for two.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(UserNet::GATEWAY_V4), UserNet::PREFIX_V4));
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv6(UserNet::GATEWAY_V6), UserNet::PREFIX_V6));
        });
        // Connections end here whatever address the guest calls; who may be called is decided before a packet comes here.
        interface.set_any_ip(true);
        Self {
            link,
            now,
            interface,
            nobody: SocketSet::new(Vec::new()),
            spare: Vec::new(),
            first_frame: None,
        }
    }

    /// Notes that the guest has sent something.
    pub(super) fn hear(&mut self) {
        self.first_frame.get_or_insert(self.now);
    }

    /// Whether the guest may not have come as far as to listen.
    pub(super) fn is_guest_starting(&self) -> bool {
        self.first_frame.is_none_or(|first| self.now < first + STARTING)
    }

    /// An endpoint that calls nobody yet.
    pub(super) fn endpoint(&mut self) -> Endpoint {
        self.spare.pop().unwrap_or_else(Endpoint::new)
    }

    /// Takes an endpoint back. Whatever its connection was, it is over.
    pub(super) fn put_back(&mut self, mut endpoint: Endpoint) {
        endpoint.socket().abort();
        if self.spare.len() < SPARE {
            self.spare.push(endpoint);
        }
    }

    /// Starts a connection from `key.peer` to the guest. `false` if the endpoint is in use.
    pub(super) fn call(&mut self, endpoint: &mut Endpoint, key: FlowKey) -> bool {
        let remote = IpEndpoint::new(guest_towards(key.peer.ip()).into(), key.guest_port);
        endpoint.socket().connect(self.interface.context(), remote, listen_endpoint(key.peer)).is_ok()
    }

    /// Makes the endpoint take the guest's call to `called`.
    pub(super) fn listen(endpoint: &mut Endpoint, called: SocketAddr) -> bool {
        endpoint.socket().listen(listen_endpoint(called)).is_ok()
    }

    /// Shows an IP packet to the endpoint that it is for.
    pub(super) fn receive(&mut self, endpoint: &mut Endpoint, packet: &[u8]) {
        let mut port = Port { link: &mut self.link, packet: Some(packet) };
        self.interface.poll_ingress_single(self.now, &mut port, &mut endpoint.set);
    }

    /// Shows an IP packet to nobody: a TCP segment is answered with RST, an echo request with its reply.
    pub(super) fn receive_for_nobody(&mut self, packet: &[u8]) {
        let mut port = Port { link: &mut self.link, packet: Some(packet) };
        self.interface.poll_ingress_single(self.now, &mut port, &mut self.nobody);
    }

    /// Lets the endpoint send one packet. `false` if it has none to send, or the link is blocked.
    pub(super) fn transmit(&mut self, endpoint: &mut Endpoint) -> bool {
        let mut port = Port { link: &mut self.link, packet: None };
        self.interface.poll_egress(self.now, &mut port, &mut endpoint.set) != PollResult::None
    }

    /// When the endpoint has to be looked at even if nothing happens.
    pub(super) fn deadline(&mut self, endpoint: &Endpoint) -> Option<Instant> {
        self.interface.poll_at(self.now, &endpoint.set)
    }
}

fn listen_endpoint(address: SocketAddr) -> IpListenEndpoint {
    IpListenEndpoint { addr: Some(address.ip().into()), port: address.port() }
}

impl core::fmt::Debug for Stack {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Stack")
            .field("link", &self.link)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
