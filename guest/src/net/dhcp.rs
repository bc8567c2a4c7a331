//! A DHCPv4 client (RFC 2131) as a state machine: messages and time in, messages and leases out.
//!
//! smoltcp's own client works on Ethernet interfaces only; ours are IP interfaces. The packet format is smoltcp's.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, Ipv4Cidr};

use super::addresses::is_host;
use crate::time::Instant;

/// Subnet mask, routers, resolvers (RFC 2132, sections 3.3, 3.5 and 3.8).
const WANTED_OPTIONS: &[u8] = &[1, 3, 6];
const ROUTER_OPTION: u8 = 3;
/// Largest message we take: the least every client must take, plus room for long option lists.
const MAX_MESSAGE_BYTES: u16 = 1_280;
/// Requests without an answer before the offer counts as dead.
const MAX_REQUESTS: u8 = 4;
/// Where a server gives no lease time, or a silly one.
const DEFAULT_LEASE: Duration = Duration::from_secs(3_600);
const MIN_LEASE: Duration = Duration::from_secs(60);
const MIN_RENEW_PAUSE: Duration = Duration::from_secs(10);

/// What a server lent us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Cidr,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) resolvers: heapless::Vec<Ipv4Addr, 3>,
}

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is a lease, new or renewed.
    Lent(Lease),
    /// The address may no longer be used.
    Lost,
}

/// A message to send, from port 68 to port 67.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) content: DhcpRepr<'static>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Looking for a server.
    Selecting,
    /// Taking up an offer.
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    /// Holding a lease; from `renew` on asking the lender, from `rebind` on asking anybody, until `end`.
    Bound { address: Ipv4Addr, server: Ipv4Addr, renew: Instant, rebind: Instant, end: Instant },
}

/// The client of one NIC.
#[derive(Debug)]
pub(super) struct Dhcp {
    mac: EthernetAddress,
    transaction: u32,
    state: State,
    tries: u8,
    act_at: Instant,
}

impl Dhcp {
    /// A client that asks for the first time at `now`. `transaction` is random.
    pub(super) fn new(mac: EthernetAddress, transaction: u32, now: Instant) -> Self {
        Self { mac, transaction, state: State::Selecting, tries: 0, act_at: now }
    }

    /// When [`Self::poll`] has something to do.
    pub(super) fn deadline(&self) -> Instant {
        self.act_at
    }

    /// Says what is to be sent now, and whether the lease ran out.
    pub(super) fn poll(&mut self, now: Instant) -> (Option<Message>, Option<Change>) {
        if now < self.act_at {
            return (None, None);
        }
        match self.state {
            State::Selecting => {}
            State::Requesting { .. } if self.tries < MAX_REQUESTS => {}
            State::Requesting { .. } => self.restart(now),
            State::Bound { rebind, end, .. } if now < end => {
                let until = if now < rebind { rebind } else { end };
                let pause = (until.duration_since(now) / 2).max(MIN_RENEW_PAUSE);
                self.act_at = now.saturating_add(pause).min(end);
                return (Some(self.message(now)), None);
            }
            State::Bound { .. } => {
                self.restart(now);
                self.back_off(now);
                return (Some(self.message(now)), Some(Change::Lost));
            }
        }
        self.back_off(now);
        (Some(self.message(now)), None)
    }

    /// Takes in a server's message.
    pub(super) fn receive(&mut self, payload: &[u8], now: Instant) -> Option<Change> {
        let packet = DhcpPacket::new_checked(payload).ok()?;
        let reply = DhcpRepr::parse(&packet).ok()?;
        if reply.transaction_id != self.transaction || reply.client_hardware_address != self.mac {
            return None;
        }
        let sender = reply.server_identifier?;
        match (self.state, reply.message_type) {
            (State::Selecting, DhcpMessageType::Offer) if is_host(IpAddr::V4(reply.your_ip)) => {
                self.state = State::Requesting { address: reply.your_ip, server: sender };
                self.tries = 0;
                self.act_at = now;
                None
            }
            (State::Requesting { server, .. }, DhcpMessageType::Ack) if server == sender => {
                self.bind(&packet, &reply, sender, now)
            }
            (State::Bound { renew, .. }, DhcpMessageType::Ack) if now >= renew => {
                self.bind(&packet, &reply, sender, now)
            }
            (State::Requesting { server, .. }, DhcpMessageType::Nak) if server == sender => {
                self.restart(now.saturating_add(Duration::from_secs(1)));
                None
            }
            (State::Bound { renew, .. }, DhcpMessageType::Nak) if now >= renew => {
                self.restart(now);
                Some(Change::Lost)
            }
            _ => None,
        }
    }

    fn bind(
        &mut self,
        packet: &DhcpPacket<&[u8]>,
        reply: &DhcpRepr<'_>,
        server: Ipv4Addr,
        now: Instant,
    ) -> Option<Change> {
        if !is_host(IpAddr::V4(reply.your_ip)) {
            return None;
        }
        let seconds = |value: Option<u32>| value.map(|seconds| Duration::from_secs(seconds.into()));
        let lease = seconds(reply.lease_duration).unwrap_or(DEFAULT_LEASE).max(MIN_LEASE);
        let rebind = seconds(reply.rebind_duration).filter(|time| *time < lease).unwrap_or(lease / 8 * 7);
        let renew =
            seconds(reply.renew_duration).filter(|time| *time < rebind).unwrap_or(lease / 2).min(rebind);
        let renew = now.saturating_add(renew);
        self.state = State::Bound {
            address: reply.your_ip,
            server,
            renew,
            rebind: now.saturating_add(rebind),
            end: now.saturating_add(lease),
        };
        self.tries = 0;
        self.act_at = renew;
        // smoltcp reads the option only where it names exactly one router. The first is the preferred one.
        let first_router = || {
            let option = packet.options().find(|option| option.kind == ROUTER_OPTION)?;
            option.data.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
        };
        let mask = reply.subnet_mask.unwrap_or(Ipv4Addr::new(255, 255, 255, 0));
        let prefix = u8::try_from(mask.to_bits().leading_ones()).unwrap_or(32);
        Some(Change::Lent(Lease {
            address: Ipv4Cidr::new(reply.your_ip, prefix),
            router: reply.router.or_else(first_router).filter(|router| is_host(IpAddr::V4(*router))),
            resolvers: reply.dns_servers.iter().flatten().copied().collect(),
        }))
    }

    fn restart(&mut self, at: Instant) {
        self.state = State::Selecting;
        self.tries = 0;
        self.act_at = at;
    }

    /// Plans the next try: 1, 2, 4, 8, then every 16 seconds, spread by up to a quarter second.
    fn back_off(&mut self, now: Instant) {
        let seconds = 1_u64 << self.tries.min(4);
        let spread = u64::from(self.transaction % 256);
        self.act_at = now.saturating_add(Duration::from_millis(seconds * 1_000 + spread));
        self.tries = self.tries.saturating_add(1);
    }

    fn message(&self, now: Instant) -> Message {
        let blank = DhcpRepr {
            message_type: DhcpMessageType::Request,
            transaction_id: self.transaction,
            secs: 0,
            client_hardware_address: self.mac,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: Some(self.mac),
            server_identifier: None,
            parameter_request_list: Some(WANTED_OPTIONS),
            dns_servers: None,
            max_size: Some(MAX_MESSAGE_BYTES),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let broadcast =
            |content| Message { source: Ipv4Addr::UNSPECIFIED, destination: Ipv4Addr::BROADCAST, content };
        match self.state {
            State::Selecting => broadcast(DhcpRepr { message_type: DhcpMessageType::Discover, ..blank }),
            State::Requesting { address, server } => {
                broadcast(DhcpRepr { requested_ip: Some(address), server_identifier: Some(server), ..blank })
            }
            State::Bound { address, server, rebind, .. } => Message {
                source: address,
                destination: if now < rebind { server } else { Ipv4Addr::BROADCAST },
                content: DhcpRepr { client_ip: address, ..blank },
            },
        }
    }
}
