//! Frames that no honest guest sends.

use std::thread;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Address, Ipv4Packet,
    Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::super::UserNet;
use super::super::packet::decode;
use super::rig::{Options, Random, Rig, dial, exchange};

const ALL: ChecksumCapabilities = {
    // Not constructible as a constant any other way.
    panic_free_default()
};

const fn panic_free_default() -> ChecksumCapabilities {
    todo_replaced()
}
