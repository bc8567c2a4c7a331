//! Frames for tests.

use core::net::{IpAddr, Ipv4Addr};

use hvcall::NicInfo;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, UdpPacket, UdpRepr,
};

use super::super::{Direction, FramePolicy, Reason, Verdict};
use crate::net::rules::{Accept, Allow};

pub(super) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(super) const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const OWN: &str = "10.0.0.2";
pub(super) const OWN6: &str = "fd00::2";
pub(super) const SYN: u8 = 2;
pub(super) const ACK: u8 = 16;

/// The policy of a NIC with fixed addresses.
pub(super) fn policy(allow: &[&str], accept: &[&str]) -> FramePolicy {
    let spec: crate::device_spec::NetSpec =
        "net=fd:9,mac=02:00:00:00:00:02,ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.53,ip6=fd00::2/64"
            .parse()
            .unwrap();
    with(&spec.nic_info("test", "net", 1500, hvcall::boot::Offloads::empty()), allow, accept)
}

/// The policy of a NIC that asks DHCP.
pub(super) fn without_address(allow: &[&str], accept: &[&str]) -> FramePolicy {
    with(&NicInfo { mac: MAC, mtu: 1500, ..NicInfo::default() }, allow, accept)
}

fn with(nic: &NicInfo, allow: &[&str], accept: &[&str]) -> FramePolicy {
    let allow: Vec<Allow> = allow.iter().map(|rule| rule.parse().unwrap()).collect();
    let accept: Vec<Accept> = accept.iter().map(|rule| rule.parse().unwrap()).collect();
    FramePolicy::new(nic, &allow, &accept, false).unwrap()
}

pub(super) fn ethernet(from: [u8; 6], to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    let repr = EthernetRepr {
        src_addr: EthernetAddress(from),
        dst_addr: EthernetAddress(to),
        ethertype: EthernetProtocol::from(kind),
    };
    let mut frame = vec![0; 14 + payload.len()];
    repr.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame[14..].copy_from_slice(payload);
    frame
}

/// A packet between two addresses of one kind.
pub(super) fn ip(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let next_header = IpProtocol::from(protocol);
    match (source, destination) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let repr =
                Ipv4Repr { src_addr, dst_addr, next_header, payload_len: payload.len(), hop_limit: 64 };
            let mut packet = vec![0; 20 + payload.len()];
            repr.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
            packet[20..].copy_from_slice(payload);
            packet
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            // NDP wants 255, and nobody else minds.
            let repr =
                Ipv6Repr { src_addr, dst_addr, next_header, payload_len: payload.len(), hop_limit: 255 };
            let mut packet = vec![0; 40 + payload.len()];
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
            packet[40..].copy_from_slice(payload);
            packet
        }
        _ => panic!("addresses of two kinds"),
    }
}

pub(super) fn tcp(source: u16, destination: u16, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&source.to_be_bytes());
    segment[2..4].copy_from_slice(&destination.to_be_bytes());
    segment[12] = 5 << 4;
    segment[13] = flags;
    segment.extend_from_slice(data);
    segment
}

pub(super) fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let repr = UdpRepr { src_port: source, dst_port: destination };
    let mut datagram = vec![0; 8 + data.len()];
    let mut packet = UdpPacket::new_unchecked(&mut datagram);
    let (from, to) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
    repr.emit(
        &mut packet,
        &from,
        &to,
        data.len(),
        |room| room.copy_from_slice(data),
        &ChecksumCapabilities::ignored(),
    );
    datagram
}

pub(super) fn kind(address: &str) -> u16 {
    if address.contains(':') { 0x86dd } else { 0x0800 }
}

/// A frame of the guest.
pub(super) fn out(destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let own = if destination.contains(':') { OWN6 } else { OWN };
    ethernet(MAC, PEER_MAC, kind(destination), &ip(own, destination, protocol, payload))
}

/// A frame for the guest.
pub(super) fn to_guest(source: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let own = if source.contains(':') { OWN6 } else { OWN };
    ethernet(PEER_MAC, MAC, kind(source), &ip(source, own, protocol, payload))
}

pub(super) fn arp(is_request: bool, from: ([u8; 6], &str), to: [u8; 6], target: &str) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: if is_request { ArpOperation::Request } else { ArpOperation::Reply },
        source_hardware_addr: EthernetAddress(from.0),
        source_protocol_addr: from.1.parse().unwrap(),
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target.parse().unwrap(),
    };
    let mut packet = vec![0; 28];
    repr.emit(&mut ArpPacket::new_unchecked(&mut packet));
    ethernet(from.0, to, 0x0806, &packet)
}

#[track_caller]
pub(super) fn passes(policy: &mut FramePolicy, direction: Direction, frame: &[u8]) {
    assert_eq!(policy.judge(frame, direction), Verdict::Pass);
}

#[track_caller]
pub(super) fn drops(policy: &mut FramePolicy, direction: Direction, frame: &[u8], reason: Reason) {
    assert_eq!(policy.judge(frame, direction), Verdict::Drop(reason));
}
