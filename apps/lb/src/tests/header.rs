//! PROXY headers, byte by byte as the specification has them, and as another implementation reads them.

use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header as Parsed, Protocol};

use crate::proxy::Header;

#[test]
fn an_ipv4_header_has_the_specifications_bytes() {
    let header = Header::proxied("192.0.2.1:51234".parse().unwrap(), "198.51.100.7:443".parse().unwrap());
    let wanted = [
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, // signature
        0x21, 0x11, 0x00, 0x0c, // version 2, PROXY; TCP over IPv4; 12 bytes follow
        192, 0, 2, 1, 198, 51, 100, 7, 0xc8, 0x22, 0x01, 0xbb,
    ];
    assert_eq!(header.as_bytes(), wanted);
}

#[test]
fn an_ipv6_header_has_the_specifications_bytes() {
    let header = Header::proxied("[2001:db8::1]:1".parse().unwrap(), "[fd00::2]:65535".parse().unwrap());
    let mut wanted = [0; 52];
    wanted[..16].copy_from_slice(b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24");
    wanted[16..20].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    wanted[31] = 1;
    wanted[32] = 0xfd;
    wanted[47] = 2;
    wanted[48..].copy_from_slice(&[0, 1, 0xff, 0xff]);
    assert_eq!(header.as_bytes(), wanted);
}

#[test]
fn another_implementation_reads_what_was_meant() {
    for (client, listener) in [("192.0.2.1:1", "198.51.100.7:80"), ("[2001:db8::1]:65535", "[fd00::2]:443")] {
        let (client, listener): (SocketAddr, SocketAddr) =
            (client.parse().unwrap(), listener.parse().unwrap());
        let header = Header::proxied(client, listener);
        let parsed = Parsed::try_from(header.as_bytes()).unwrap();
        assert_eq!((parsed.command, parsed.protocol), (Command::Proxy, Protocol::Stream));
        assert_eq!(parsed.header.len(), header.as_bytes().len());
        assert_eq!(parsed.addresses, Addresses::from((client, listener)));
    }
}

#[test]
fn the_header_of_a_health_check_says_that_it_is_local() {
    let header = Header::local();
    assert_eq!(header.as_bytes(), b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00");
    assert_eq!(Parsed::try_from(header.as_bytes()).unwrap().command, Command::Local);
}
