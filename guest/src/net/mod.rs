//! The network: TCP and UDP over IPv4 and IPv6, DNS, and how a NIC gets its addresses.
//!
//! ```text
//! TcpListener TcpStream UdpSocket dns      what applications use, all async
//! tcp  udp                                 connections by address, ports
//! stack                                    frames in, frames out, time in: no globals, no hypercalls
//! nic: dhcp router                         addresses        smoltcp: TCP state machine, packet formats
//! link: arp ndp neighbor                   Ethernet
//! driver                                   the one stack of the appliance, and its part in an executor turn
//! ```
//!
//! Each TCP connection is a smoltcp socket alone in a socket set, found by a keyed hash of its addresses, and only the sets
//! that a packet, a timer or the application touched are looked at: a packet costs the same however many connections there
//! are. smoltcp sees IP packets only; ARP, NDP and Ethernet are ours, because its own neighbour cache holds back everybody
//! while one neighbour is unknown.
//!
//! A frame is hostile until it has proved otherwise, and whatever peers can make us keep is bounded: half-open and waiting
//! connections by the listener's backlog, neighbours, datagrams and ended connections by constants, the memory of all TCP
//! connections by half the heap.
//!
//! ```ignore
//! net::up().await?;
//! let listener = TcpListener::bind(7)?;
//! loop {
//!     let (mut stream, _peer) = listener.accept().await?;
//!     spawn(async move { ... });
//! }
//! ```

mod addresses;
mod arp;
mod coalesce;
mod dhcp;
pub mod dns;
mod driver;
mod ephemeral;
mod error;
mod fixed;
mod frame;
mod hash;
mod link;
mod ndp;
mod neighbor;
mod nic;
mod offload;
mod packet;
mod receive;
mod router;
mod sorted;
mod stack;
mod stage;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::Poll;

pub use error::Error;
pub use tcp::{
    Buffers, ForwardError, Forwarded, ListenOptions, OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpListener,
    TcpStream, WriteHalf,
};
pub use udp::UdpSocket;

/// Shorthand for the module's results.
pub type Result<T> = core::result::Result<T, Error>;

/// A local end: a port, on one of our addresses or on all. Made from a port number or a socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address, or `None` for all.
    pub ip: Option<IpAddr>,
    /// The port, or 0 for any that is free.
    pub port: u16,
}

impl From<u16> for LocalAddress {
    fn from(port: u16) -> Self {
        Self { ip: None, port }
    }
}

impl From<SocketAddr> for LocalAddress {
    fn from(address: SocketAddr) -> Self {
        Self { ip: Some(address.ip()).filter(|ip| !ip.is_unspecified()), port: address.port() }
    }
}

/// IPv4 addresses baked into an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticIpv4 {
    /// Own address.
    pub address: Ipv4Addr,
    /// Prefix length, 0 to 32.
    pub prefix: u8,
    /// Default router.
    pub gateway: Option<Ipv4Addr>,
    /// Resolver.
    pub resolver: Option<Ipv4Addr>,
}

/// IPv6 addresses baked into an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticIpv6 {
    /// Own address, besides the link-local one that follows from the MAC.
    pub address: Ipv6Addr,
    /// Prefix length, 0 to 128.
    pub prefix: u8,
    /// Default router.
    pub gateway: Option<Ipv6Addr>,
    /// Resolver.
    pub resolver: Option<Ipv6Addr>,
}

/// Addresses baked into an appliance. What the host says in boot information wins; what neither says is asked for by DHCP
/// and router solicitation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StaticConfig {
    /// IPv4.
    pub ipv4: Option<StaticIpv4>,
    /// IPv6.
    pub ipv6: Option<StaticIpv6>,
}

/// A NIC as it is configured right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// MAC address.
    pub mac: [u8; 6],
    /// Largest IP packet, in bytes.
    pub mtu: usize,
    /// IPv4 address and prefix length.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// IPv4 default router.
    pub gateway4: Option<Ipv4Addr>,
    /// IPv6 address, other than the link-local one, and prefix length.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// IPv6 link-local address.
    pub link_local: Ipv6Addr,
    /// IPv6 default router.
    pub gateway6: Option<Ipv6Addr>,
    /// Resolvers.
    pub resolvers: Vec<IpAddr>,
}

/// Counts of what the network holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// TCP connections in any state but TIME-WAIT.
    pub connections: usize,
    /// Those of them that are still shaking hands with a listener.
    pub handshakes: usize,
    /// Ended connections whose late segments are still answered.
    pub time_wait: usize,
    /// Bound UDP ports.
    pub udp_sockets: usize,
    /// Neighbours known or asked for.
    pub neighbors: usize,
    /// Frames received.
    pub received_frames: u64,
    /// Those of them that were not for us, malformed, or beyond a limit.
    pub receive_dropped: u64,
    /// Frames sent.
    pub sent_frames: u64,
    /// Packets that could not be sent: no route, no answer from the neighbour, no room.
    pub send_dropped: u64,
}

/// Brings the network up and waits until every NIC has an address. Says what they are, NIC by NIC.
///
/// # Errors
/// [`Error::NoDevice`] if there is no NIC; [`Error::TimedOut`] if no address came in 30 seconds. The NICs go on asking, so
/// this can be called again.
pub async fn up() -> Result<Vec<Config>> {
    if driver::with(|stack| stack.nics.is_empty()) {
        return Err(Error::NoDevice);
    }
    let up = core::future::poll_fn(|context| {
        if driver::with(|stack| stack.is_up(context.waker())) { Poll::Ready(()) } else { Poll::Pending }
    });
    crate::executor::timeout(nic::CONFIGURE_TIMEOUT, up).await.map_err(|_| Error::TimedOut)?;
    let configs = configs();
    for (index, config) in configs.iter().enumerate() {
        if let Some((address, prefix)) = config.ipv4 {
            log::info!("net{index}: {address}/{prefix}");
        }
        if let Some((address, prefix)) = config.ipv6 {
            log::info!("net{index}: {address}/{prefix}");
        }
    }
    Ok(configs)
}

/// Bakes addresses in for the NIC of that index. Counts if it comes before anything else uses the network.
pub fn configure(nic: usize, config: StaticConfig) {
    driver::bake(nic, config);
}

/// The NICs as they are configured right now.
#[must_use]
pub fn configs() -> Vec<Config> {
    driver::with(|stack| stack.nics.iter().map(nic::Nic::config).collect())
}

/// How many TCP connections with such buffers there is memory for, if there are no others: they share half of the heap.
#[must_use]
pub fn capacity(buffers: Buffers) -> usize {
    driver::with(|stack| stack.tcp.table.capacity(buffers))
}

/// Counts of what the network holds and has done.
#[must_use]
pub fn stats() -> Stats {
    driver::with(|stack| stack.stats())
}
