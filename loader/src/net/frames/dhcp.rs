//! A guest that asks for its address: what it may say to get one, and which one it was lent.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::{DhcpMessageType, DhcpOpCode, DhcpPacket, DhcpRepr};

use super::decode::{Ip, Payload};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;

/// What a server lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    /// Length of the network's prefix.
    pub(super) prefix: u8,
    pub(super) server: Ipv4Addr,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) resolvers: [Option<Ipv4Addr>; 3],
}

/// The conversation, as far as it has been overheard.
#[derive(Debug, Default)]
pub(super) struct Overheard {
    transaction: Option<u32>,
    pub(super) lease: Option<Lease>,
}

/// Whether a packet is one of a DHCP client's or server's.
pub(super) fn is_dhcp(ip: &Ip<'_>) -> bool {
    let Payload::Udp { source, destination, .. } = ip.payload else { return false };
    ip.destination.is_ipv4()
        && matches!((source, destination), (CLIENT_PORT, SERVER_PORT) | (SERVER_PORT, CLIENT_PORT))
}

impl Overheard {
    /// Whether the guest may send this: a client's message about its own MAC address, to everybody or to the server that lent it
    /// the address that it uses.
    pub(super) fn admits(&mut self, ip: &Ip<'_>, mac: [u8; 6]) -> bool {
        let Payload::Udp { source: CLIENT_PORT, destination: SERVER_PORT, data } = ip.payload else {
            return false;
        };
        let Some(message) = parse(data, ip.source) else { return false };
        let is_clients = matches!(
            message.kind,
            DhcpMessageType::Discover
                | DhcpMessageType::Request
                | DhcpMessageType::Decline
                | DhcpMessageType::Release
        );
        let leased = |lease: &Lease| {
            ip.source == lease.address && (ip.destination == lease.server || is_everybody(ip.destination))
        };
        let is_new = ip.source == Ipv4Addr::UNSPECIFIED && is_everybody(ip.destination);
        let admitted =
            is_clients && message.mac == mac && (is_new || self.lease.as_ref().is_some_and(leased));
        if admitted {
            self.transaction = Some(message.transaction);
        }
        admitted
    }

    /// Whether this is a server's answer to the guest; what it lends is noted.
    pub(super) fn hears(&mut self, ip: &Ip<'_>, mac: [u8; 6]) -> bool {
        let Payload::Udp { source: SERVER_PORT, destination: CLIENT_PORT, data } = ip.payload else {
            return false;
        };
        let Some(message) = parse(data, ip.source) else { return false };
        if message.mac != mac || Some(message.transaction) != self.transaction {
            return false;
        }
        let to_guest = is_everybody(ip.destination) || ip.destination == message.lease.address;
        match message.kind {
            DhcpMessageType::Offer => to_guest,
            DhcpMessageType::Nak => {
                self.lease = None;
                is_everybody(ip.destination)
            }
            DhcpMessageType::Ack if to_guest => {
                self.lease = Some(message.lease).filter(|lease| is_host(lease.address));
                self.lease.is_some()
            }
            DhcpMessageType::Ack
            | DhcpMessageType::Discover
            | DhcpMessageType::Request
            | DhcpMessageType::Decline
            | DhcpMessageType::Release
            | DhcpMessageType::Inform
            | DhcpMessageType::Unknown(_) => false,
        }
    }
}

fn is_everybody(address: IpAddr) -> bool {
    address == Ipv4Addr::BROADCAST
}

/// What this module needs of a message.
struct Message {
    kind: DhcpMessageType,
    transaction: u32,
    mac: [u8; 6],
    lease: Lease,
}

/// A message whose kind its first byte agrees with.
fn parse(data: &[u8], from: IpAddr) -> Option<Message> {
    let packet = DhcpPacket::new_checked(data).ok()?;
    let message = DhcpRepr::parse(&packet).ok()?;
    let kind = message.message_type;
    let by_server = matches!(kind, DhcpMessageType::Offer | DhcpMessageType::Ack | DhcpMessageType::Nak);
    let expected = if by_server { DhcpOpCode::Reply } else { DhcpOpCode::Request };
    let (IpAddr::V4(from), true) = (from, packet.opcode() == expected) else { return None };
    let mac = message.client_hardware_address.0;
    Some(Message { kind, transaction: message.transaction_id, mac, lease: lease(&message, from) })
}

fn lease(message: &DhcpRepr<'_>, from: Ipv4Addr) -> Lease {
    let mask = message.subnet_mask.map_or(u32::MAX, u32::from);
    let mut resolvers = [None; 3];
    for (slot, resolver) in resolvers.iter_mut().zip(message.dns_servers.iter().flatten()) {
        *slot = Some(*resolver);
    }
    Lease {
        address: message.your_ip,
        prefix: u8::try_from(mask.leading_ones()).unwrap_or(32),
        server: message.server_identifier.unwrap_or(from),
        router: message.router,
        resolvers,
    }
}

/// Whether a server can lend an address.
fn is_host(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast() && !address.is_loopback()
}
