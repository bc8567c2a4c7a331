//! Peers, ports, callers, neighbours, addresses.

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

use super::super::Direction::{FromGuest, ToGuest};
use super::super::Reason;
use super::super::neighbours::{group_mac, solicited_node};
use super::build::*;

const TCP: u8 = 6;
const UDP: u8 = 17;

#[test]
fn only_what_a_rule_names_goes_out_and_only_its_answers_come_in() {
    let mut policy = policy(&["tcp:10.0.0.0/24:443", "udp:192.0.2.7:5000-5010", "tcp:[fd00::]/64:80"], &[]);
    passes(&mut policy, FromGuest, &out("10.0.0.9", TCP, &tcp(50_000, 443, SYN, b"")));
    passes(&mut policy, FromGuest, &out("fd00::9", TCP, &tcp(50_000, 80, SYN, b"")));
    passes(&mut policy, FromGuest, &out("192.0.2.7", UDP, &udp(50_000, 5003, b"x")));
    for (to, protocol, payload) in [
        ("10.0.0.9", TCP, tcp(50_000, 80, SYN, b"")),
        ("10.0.0.9", UDP, udp(50_000, 443, b"x")),
        ("10.0.1.9", TCP, tcp(50_000, 443, SYN, b"")),
        ("192.0.2.7", UDP, udp(50_000, 4999, b"x")),
        ("192.0.2.8", UDP, udp(50_000, 5003, b"x")),
        ("fd00::9", TCP, tcp(50_000, 443, SYN, b"")),
        ("fd01::9", TCP, tcp(50_000, 80, SYN, b"")),
        // A scan by acknowledgements and resets.
        ("10.0.0.9", TCP, tcp(443, 22, ACK, b"")),
        ("10.0.0.9", TCP, tcp(443, 22, 4, b"")),
    ] {
        drops(&mut policy, FromGuest, &out(to, protocol, &payload), Reason::NoRule);
    }
    passes(&mut policy, ToGuest, &to_guest("10.0.0.9", TCP, &tcp(443, 50_000, SYN | ACK, b"")));
    passes(&mut policy, ToGuest, &to_guest("192.0.2.7", UDP, &udp(5003, 50_000, b"x")));
    drops(&mut policy, ToGuest, &to_guest("10.0.0.9", TCP, &tcp(443, 50_000, SYN, b"")), Reason::NoRule);
    drops(&mut policy, ToGuest, &to_guest("10.0.0.9", TCP, &tcp(80, 50_000, SYN | ACK, b"")), Reason::NoRule);
    drops(&mut policy, ToGuest, &to_guest("192.0.2.8", UDP, &udp(5003, 50_000, b"x")), Reason::NoRule);
}

#[test]
fn everything_means_the_internet_and_not_the_neighbourhood() {
    let mut policy = policy(&["tcp:*:443"], &[]);
    passes(&mut policy, FromGuest, &out("1.1.1.1", TCP, &tcp(50_000, 443, SYN, b"")));
    for private in ["10.0.0.1", "192.168.1.1", "169.254.169.254", "172.16.0.1", "100.64.0.1"] {
        drops(&mut policy, FromGuest, &out(private, TCP, &tcp(50_000, 443, SYN, b"")), Reason::NoRule);
    }
}

#[test]
fn callers_get_answers_and_nobody_else_does() {
    let mut policy = policy(&[], &["tcp:10.0.0.0/24:80", "udp:*:53", "ping:*"]);
    let answer = |to, port, flags| out(to, TCP, &tcp(80, port, flags, b""));
    drops(&mut policy, FromGuest, &answer("10.0.0.9", 40_000, SYN | ACK), Reason::NoRule);
    passes(&mut policy, ToGuest, &to_guest("10.0.0.9", TCP, &tcp(40_000, 80, SYN, b"")));
    passes(&mut policy, FromGuest, &answer("10.0.0.9", 40_000, SYN | ACK));
    passes(&mut policy, FromGuest, &out("10.0.0.9", TCP, &tcp(80, 40_000, ACK, b"data")));
    // Another port, another host, another own port, a connection the other way round.
    drops(&mut policy, FromGuest, &answer("10.0.0.9", 40_001, ACK), Reason::NoRule);
    drops(&mut policy, FromGuest, &answer("10.0.0.8", 40_000, ACK), Reason::NoRule);
    drops(&mut policy, FromGuest, &out("10.0.0.9", TCP, &tcp(81, 40_000, ACK, b"")), Reason::NoRule);
    drops(&mut policy, FromGuest, &answer("10.0.0.9", 40_000, SYN), Reason::NoRule);
    // Who may not call is not noted.
    drops(&mut policy, ToGuest, &to_guest("10.0.1.9", TCP, &tcp(40_000, 80, SYN, b"")), Reason::NoRule);
    drops(&mut policy, FromGuest, &answer("10.0.1.9", 40_000, SYN | ACK), Reason::NoRule);
    drops(&mut policy, ToGuest, &to_guest("10.0.0.9", TCP, &tcp(40_000, 22, SYN, b"")), Reason::NoRule);

    passes(&mut policy, ToGuest, &to_guest("10.3.3.3", UDP, &udp(999, 53, b"?")));
    passes(&mut policy, FromGuest, &out("10.3.3.3", UDP, &udp(53, 999, b"!")));
    drops(&mut policy, FromGuest, &out("10.3.3.3", UDP, &udp(53, 998, b"!")), Reason::NoRule);

    let echo = |kind: u8, identifier: u8| [kind, 0, 0, 0, 0, identifier, 0, 1];
    drops(&mut policy, FromGuest, &out("10.0.0.7", 1, &echo(0, 5)), Reason::NoRule);
    passes(&mut policy, ToGuest, &to_guest("10.0.0.7", 1, &echo(8, 5)));
    passes(&mut policy, FromGuest, &out("10.0.0.7", 1, &echo(0, 5)));
    drops(&mut policy, FromGuest, &out("10.0.0.7", 1, &echo(0, 6)), Reason::NoRule);
    drops(&mut policy, FromGuest, &out("10.0.0.7", 1, &echo(8, 5)), Reason::NoRule);
}

#[test]
fn dns_is_the_nics_resolver_and_pings_need_a_rule() {
    let mut policy = policy(&["dns", "ping:10.0.0.1"], &[]);
    passes(&mut policy, FromGuest, &out("10.0.0.53", UDP, &udp(4000, 53, b"?")));
    passes(&mut policy, FromGuest, &out("10.0.0.53", TCP, &tcp(4000, 53, SYN, b"")));
    passes(&mut policy, ToGuest, &to_guest("10.0.0.53", UDP, &udp(53, 4000, b"!")));
    drops(&mut policy, FromGuest, &out("10.0.0.54", UDP, &udp(4000, 53, b"?")), Reason::NoRule);
    drops(&mut policy, FromGuest, &out("10.0.0.53", UDP, &udp(4000, 54, b"?")), Reason::NoRule);
    passes(&mut policy, FromGuest, &out("10.0.0.1", 1, &[8, 0, 0, 0, 0, 1, 0, 1]));
    passes(&mut policy, ToGuest, &to_guest("10.0.0.1", 1, &[0, 0, 0, 0, 0, 1, 0, 1]));
    drops(&mut policy, FromGuest, &out("10.0.0.9", 1, &[8, 0, 0, 0, 0, 1, 0, 1]), Reason::NoRule);
}

#[test]
fn reports_about_own_packets_come_in_and_none_go_out() {
    let mut policy = policy(&["tcp:10.0.0.9:443"], &[]);
    let about = |from: &str, to: &str| [&[3, 4, 0, 0, 0, 0, 5, 0][..], &ip(from, to, TCP, &[0; 8])].concat();
    passes(&mut policy, ToGuest, &to_guest("10.0.0.1", 1, &about(OWN, "10.0.0.9")));
    drops(&mut policy, ToGuest, &to_guest("10.0.0.1", 1, &about("10.0.0.3", "10.0.0.9")), Reason::NoRule);
    drops(&mut policy, ToGuest, &to_guest("10.0.0.1", 1, &about(OWN, "10.0.0.8")), Reason::NoRule);
    drops(&mut policy, FromGuest, &out("10.0.0.9", 1, &about("10.0.0.9", OWN)), Reason::Protocol);
}

#[test]
fn the_guest_asks_by_arp_only_for_those_that_it_may_talk_to() {
    let mut policy = policy(&["tcp:10.0.0.9:443"], &["tcp:*:80"]);
    let everybody = [0xff; 6];
    let ask = |target| arp(true, (MAC, OWN), everybody, target);
    for known in ["10.0.0.9", "10.0.0.1", OWN] {
        passes(&mut policy, FromGuest, &ask(known));
    }
    passes(&mut policy, FromGuest, &arp(true, (MAC, "0.0.0.0"), everybody, OWN));
    drops(&mut policy, FromGuest, &ask("10.0.0.8"), Reason::Neighbour);
    passes(&mut policy, ToGuest, &to_guest("10.0.0.8", TCP, &tcp(40_000, 80, SYN, b"")));
    passes(&mut policy, FromGuest, &ask("10.0.0.8"));
    passes(&mut policy, FromGuest, &arp(false, (MAC, OWN), PEER_MAC, "10.0.0.7"));
    // For somebody else, or with somebody else's address.
    drops(&mut policy, FromGuest, &arp(false, (MAC, "10.0.0.1"), PEER_MAC, "10.0.0.7"), Reason::Neighbour);
    drops(&mut policy, FromGuest, &arp(false, (MAC, OWN), everybody, OWN), Reason::Neighbour);
    let mut forged = ask("10.0.0.9");
    forged[22] ^= 4;
    drops(&mut policy, FromGuest, &forged, Reason::Neighbour);

    passes(&mut policy, ToGuest, &arp(true, (PEER_MAC, "10.0.0.77"), everybody, OWN));
    passes(&mut policy, ToGuest, &arp(false, (PEER_MAC, "10.0.0.9"), MAC, OWN));
    drops(
        &mut policy,
        ToGuest,
        &arp(true, (PEER_MAC, "10.0.0.77"), everybody, "10.0.0.3"),
        Reason::Neighbour,
    );
    drops(&mut policy, ToGuest, &arp(false, (PEER_MAC, OWN), MAC, OWN), Reason::Neighbour);
}

#[test]
fn the_guest_asks_by_ndp_only_for_those_that_it_may_talk_to() {
    let mut policy = policy(&["tcp:[fd00::9]:443"], &[]);
    let ask = |source: &str, target: &str, option: &[u8]| {
        let address: core::net::Ipv6Addr = target.parse().unwrap();
        let group = solicited_node(address);
        let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &address.octets(), option].concat();
        ethernet(MAC, group_mac(group), 0x86dd, &ip(source, &group.to_string(), 58, &message))
    };
    let own = [&[1, 1][..], &MAC].concat();
    passes(&mut policy, FromGuest, &ask(OWN6, "fd00::9", &own));
    passes(&mut policy, FromGuest, &ask("fe80::ff:fe00:2", "fd00::9", &own));
    passes(&mut policy, FromGuest, &ask("::", OWN6, &[]));
    drops(&mut policy, FromGuest, &ask(OWN6, "fd00::8", &own), Reason::Neighbour);
    drops(&mut policy, FromGuest, &ask("fd00::5", "fd00::9", &own), Reason::Neighbour);
    drops(&mut policy, FromGuest, &ask(OWN6, "fd00::9", &[1, 1, 2, 0, 0, 0, 0, 1]), Reason::Neighbour);
    drops(&mut policy, FromGuest, &ask(OWN6, "fd00::9", &[14, 1, 0, 0, 0, 0, 0, 0]), Reason::Malformed);
    let answer = |target: &str, mac: [u8; 6]| {
        let address: core::net::Ipv6Addr = target.parse().unwrap();
        let message = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &address.octets(), &[2, 1], &mac].concat();
        ethernet(MAC, PEER_MAC, 0x86dd, &ip(OWN6, "fd00::1", 58, &message))
    };
    passes(&mut policy, FromGuest, &answer(OWN6, MAC));
    drops(&mut policy, FromGuest, &answer("fd00::1", MAC), Reason::Neighbour);
    drops(&mut policy, FromGuest, &answer(OWN6, PEER_MAC), Reason::Neighbour);
    // Router advertisements of the guest's would make it everybody's router.
    let advertisement = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    drops(&mut policy, FromGuest, &out("fd00::9", 58, &advertisement), Reason::Protocol);
}

fn dhcp(kind: DhcpMessageType, mac: [u8; 6], transaction_id: u32, your_ip: &str) -> Vec<u8> {
    let unspecified = "0.0.0.0".parse().unwrap();
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id,
        secs: 0,
        client_hardware_address: EthernetAddress(mac),
        client_ip: unspecified,
        your_ip: your_ip.parse().unwrap(),
        server_ip: unspecified,
        router: Some("10.9.0.1".parse().unwrap()),
        subnet_mask: Some("255.255.255.0".parse().unwrap()),
        relay_agent_ip: unspecified,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some("10.9.0.1".parse().unwrap()),
        parameter_request_list: None,
        dns_servers: Some([[10, 9, 0, 53].into()].into_iter().collect()),
        max_size: None,
        lease_duration: Some(3600),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut message = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut message)).unwrap();
    message
}

#[test]
fn without_an_address_the_guest_may_ask_dhcp_and_has_what_it_was_lent() {
    let everybody = [0xff; 6];
    let ask = |mac, kind, number| {
        let packet = ip("0.0.0.0", "255.255.255.255", UDP, &udp(68, 67, &dhcp(kind, mac, number, "0.0.0.0")));
        ethernet(MAC, everybody, 0x0800, &packet)
    };
    let answer = |kind, number| {
        let packet = ip("10.9.0.1", "10.9.0.2", UDP, &udp(67, 68, &dhcp(kind, MAC, number, "10.9.0.2")));
        ethernet(PEER_MAC, MAC, 0x0800, &packet)
    };
    let mut policy = without_address(&["dns"], &["tcp:*:80"]);
    let query = |own: &str| ethernet(MAC, PEER_MAC, 0x0800, &ip(own, "10.9.0.53", UDP, &udp(4000, 53, b"?")));
    drops(&mut policy, FromGuest, &query("10.9.0.2"), Reason::SourceAddress);
    drops(&mut policy, ToGuest, &answer(DhcpMessageType::Ack, 7), Reason::Dhcp);
    drops(&mut policy, FromGuest, &ask(PEER_MAC, DhcpMessageType::Discover, 7), Reason::Dhcp);
    drops(&mut policy, FromGuest, &ask(MAC, DhcpMessageType::Offer, 7), Reason::Dhcp);
    passes(&mut policy, FromGuest, &ask(MAC, DhcpMessageType::Discover, 7));
    passes(&mut policy, ToGuest, &answer(DhcpMessageType::Offer, 7));
    drops(&mut policy, FromGuest, &query("10.9.0.2"), Reason::SourceAddress);
    passes(&mut policy, FromGuest, &ask(MAC, DhcpMessageType::Request, 7));
    drops(&mut policy, ToGuest, &answer(DhcpMessageType::Ack, 8), Reason::Dhcp);
    passes(&mut policy, ToGuest, &answer(DhcpMessageType::Ack, 7));
    passes(&mut policy, FromGuest, &query("10.9.0.2"));
    drops(&mut policy, FromGuest, &query("10.9.0.3"), Reason::SourceAddress);
    passes(&mut policy, FromGuest, &arp(true, (MAC, "10.9.0.2"), everybody, "10.9.0.1"));
    let renew = |server: &str| {
        let message = dhcp(DhcpMessageType::Request, MAC, 9, "0.0.0.0");
        ethernet(MAC, PEER_MAC, 0x0800, &ip("10.9.0.2", server, UDP, &udp(68, 67, &message)))
    };
    passes(&mut policy, FromGuest, &renew("10.9.0.1"));
    drops(&mut policy, FromGuest, &renew("10.9.0.7"), Reason::Dhcp);
    // The network's own last address, once the network is known.
    let shout = ethernet(MAC, PEER_MAC, 0x0800, &ip("10.9.0.2", "10.9.0.255", UDP, &udp(4000, 53, b"?")));
    drops(&mut policy, FromGuest, &shout, Reason::DestinationAddress);
}

#[test]
fn a_fixed_address_leaves_no_dhcp() {
    let mut policy = policy(&["udp:0.0.0.0/0:*"], &[]);
    let message = udp(68, 67, &dhcp(DhcpMessageType::Discover, MAC, 7, "0.0.0.0"));
    let frame = ethernet(MAC, [0xff; 6], 0x0800, &ip("0.0.0.0", "255.255.255.255", UDP, &message));
    drops(&mut policy, FromGuest, &frame, Reason::DestinationMac);
}
