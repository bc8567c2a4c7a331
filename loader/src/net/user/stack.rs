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

/// Room for data in each direction of a connection: with less, both ends of a link that is as fast as memory wait for each other most of
/// the time. What no data has touched is not there: the allocator has it from the kernel, page by page, unless the kernel gives huge
/// pages to those who did not ask.
const LARGE_BUFFER_BYTES: usize = 1 << 20;
/// The same for connections beyond [`LARGE_AT_A_TIME`].
const SMALL_BUFFER_BYTES: usize = 64 * 1024;
/// Connections at a time that have large buffers: 256 MiB, if all of them are full.
const LARGE_AT_A_TIME: usize = 128;

/// Endpoints that are kept for the next connection: with small buffers, with large ones, and with large ones through which little has
/// gone, which hold no more than that. 32 MiB each.
const SPARE_SMALL: usize = 256;
const SPARE_LARGE: usize = 16;
const SPARE_LIGHT: usize = LARGE_AT_A_TIME;
const LITTLE_BYTES: usize = 256 * 1024;
/// What a packet with data may touch of a buffer besides its own length: data out of order lie anywhere.
const PAGE_BYTES: usize = 4096;
/// A packet of this length has no data: IP and TCP take no less.
const EMPTY_PACKET_BYTES: usize = 40;

/// For how long after its first frame a guest may still be about to listen: a refused call is tried again so long.
const STARTING: Duration = Duration::from_secs(2);

/// The interface, the link under it, and the time.
pub(super) struct Stack {
    pub(super) link: Link,
    pub(super) now: Instant,
    interface: Interface,
    nobody: SocketSet<'static>,
    large: Vec<Endpoint>,
    small: Vec<Endpoint>,
    /// Endpoints with large buffers that connections have.
    large_in_use: usize,
    first_frame: Option<Instant>,
}

/// The guest-facing end of one connection.
#[derive(Debug)]
pub(super) struct Endpoint {
    set: SocketSet<'static>,
    handle: SocketHandle,
    is_large: bool,
    /// Bytes that have gone through its buffers, in all connections together: no more of them is touched.
    carried_bytes: usize,
}

impl Endpoint {
    fn new(is_large: bool) -> Self {
        let buffer_bytes = if is_large { LARGE_BUFFER_BYTES } else { SMALL_BUFFER_BYTES };
        let buffer = || SocketBuffer::new(vec![0; buffer_bytes]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        // Whoever wrote the data decided on its pieces; holding them back would only add delay.
        socket.set_nagle_enabled(false);
        // A guest whose send buffer is below two segments waits for the acknowledgement of each: answer at once.
        socket.set_ack_delay(None);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        Self { set, handle, is_large, carried_bytes: 0 }
    }

    /// The socket.
    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Notes that so many bytes go through its buffers.
    pub(super) fn carry(&mut self, size_bytes: usize) {
        self.carried_bytes = self.carried_bytes.saturating_add(size_bytes);
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
            large: Vec::new(),
            small: Vec::new(),
            large_in_use: 0,
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
        let is_large = self.large_in_use < LARGE_AT_A_TIME;
        self.large_in_use += usize::from(is_large);
        let spare = if is_large { &mut self.large } else { &mut self.small };
        spare.pop().unwrap_or_else(|| Endpoint::new(is_large))
    }

    /// Takes an endpoint back. Whatever its connection was, it is over.
    pub(super) fn put_back(&mut self, mut endpoint: Endpoint) {
        endpoint.socket().abort();
        self.large_in_use -= usize::from(endpoint.is_large);
        let is_light = endpoint.carried_bytes <= LITTLE_BYTES;
        let (spare, most) = match endpoint.is_large {
            true if is_light => (&mut self.large, SPARE_LIGHT),
            true => (&mut self.large, SPARE_LARGE),
            false => (&mut self.small, SPARE_SMALL),
        };
        if spare.len() < most {
            spare.push(endpoint);
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
        if packet.len() > EMPTY_PACKET_BYTES {
            endpoint.carry(packet.len() + PAGE_BYTES);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::user::frame_pair;

    #[test]
    fn so_many_connections_at_a_time_have_large_buffers_and_few_full_ones_are_kept() {
        let (helper, _guest) = frame_pair().unwrap();
        let mut stack = Stack::new(Link::new(helper), 0);
        let room = |endpoint: &mut Endpoint| {
            let socket = endpoint.socket();
            assert_eq!(socket.send_capacity(), socket.recv_capacity());
            socket.recv_capacity()
        };
        for (carried_bytes, kept) in [(LITTLE_BYTES, SPARE_LIGHT), (1, SPARE_LARGE)] {
            let mut endpoints: Vec<_> =
                (0..LARGE_AT_A_TIME + SPARE_SMALL + 1).map(|_| stack.endpoint()).collect();
            let (large, small) = endpoints.split_at_mut(LARGE_AT_A_TIME);
            assert!(large.iter_mut().all(|endpoint| room(endpoint) == LARGE_BUFFER_BYTES));
            assert!(small.iter_mut().all(|endpoint| room(endpoint) == SMALL_BUFFER_BYTES));
            // Whose connection is over gives way to the next one.
            stack.put_back(endpoints.swap_remove(0));
            let mut next = stack.endpoint();
            assert_eq!(room(&mut next), LARGE_BUFFER_BYTES);
            endpoints.push(next);
            for mut endpoint in endpoints {
                endpoint.carry(carried_bytes);
                stack.put_back(endpoint);
            }
            assert_eq!((stack.large.len(), stack.small.len()), (kept, SPARE_SMALL));
        }
    }
}
