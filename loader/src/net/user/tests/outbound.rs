//! What the guest may and may not reach.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata};
use smoltcp::wire::{IpAddress, IpEndpoint};

use super::super::UserNet;
use super::rig::{Guest, Options, Rig, megabyte};

/// The gateway, through which this machine's `address` is reached.
fn through_gateway(address: SocketAddr) -> SocketAddr {
    let gateway = match address {
        SocketAddr::V4(_) => IpAddr::V4(UserNet::GATEWAY_V4),
        SocketAddr::V6(_) => IpAddr::V6(UserNet::GATEWAY_V6),
    };
    SocketAddr::new(gateway, address.port())
}

/// Serves one connection on a host listener as an echo.
fn echo_once(listener: TcpListener) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut writer = stream.try_clone().unwrap();
        std::io::copy(&mut stream, &mut writer).unwrap();
    })
}

/// Sends `data` from the guest and returns what comes back.
fn exchange(guest: &mut Guest, handle: SocketHandle, data: &[u8]) -> Vec<u8> {
    let (mut sent, mut heard) = (0, Vec::new());
    guest.until(|guest| {
        let socket = guest.tcp(handle);
        while socket.can_send() && sent < data.len() {
            sent += socket.send_slice(&data[sent..]).unwrap();
        }
        if sent == data.len() {
            socket.close();
        }
        while socket.can_recv() {
            socket.recv(|part| (part.len(), heard.extend_from_slice(part))).unwrap();
        }
        matches!(socket.state(), State::Closed | State::TimeWait) && !socket.can_recv()
    });
    heard
}

fn udp_socket(guest: &mut Guest, port: u16) -> SocketHandle {
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 16], vec![0; 64 * 1024]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(port).unwrap();
    guest.sockets.add(socket)
}

fn send_udp(guest: &mut Guest, handle: SocketHandle, data: &[u8], to: SocketAddr) {
    let to = IpEndpoint::new(IpAddress::from(to.ip()), to.port());
    guest.sockets.get_mut::<udp::Socket<'_>>(handle).send_slice(data, to).unwrap();
}

#[test]
fn the_guest_reaches_nothing_by_default() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp, udp) = (listener.local_addr().unwrap(), datagrams.local_addr().unwrap());
    let mut rig = Rig::allow(&[]);
    let sender = udp_socket(&mut rig.guest, 7000);
    let attempts =
        [through_gateway(tcp), tcp, "10.0.2.3:53".parse().unwrap(), "169.254.169.254:80".parse().unwrap()];
    let calls: Vec<_> = (5000..).zip(attempts).map(|(port, to)| rig.guest.connect(to, port)).collect();
    send_udp(&mut rig.guest, sender, b"leak", through_gateway(udp));
    send_udp(&mut rig.guest, sender, b"leak", udp);
    rig.guest.until(|guest| calls.iter().all(|call| guest.tcp(*call).state() == State::Closed));
    // The helper took the frames in order, so the datagrams before the last reset are as far as they will get.
    listener.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(datagrams.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    rig.finish();
}

#[test]
fn a_rule_opens_loopback_to_the_guest() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(bind).unwrap();
        let address = listener.local_addr().unwrap();
        let ip = if address.is_ipv6() { "[::1]" } else { "127.0.0.1" };
        let mut rig = Rig::allow(&[format!("tcp:{ip}:{}", address.port())]);
        let host = echo_once(listener);
        let call = rig.guest.connect(through_gateway(address), 5000);
        assert!(exchange(&mut rig.guest, call, &megabyte(5)) == megabyte(5));
        host.join().unwrap();
        let other = SocketAddr::new(through_gateway(address).ip(), 1);
        let refused = rig.guest.connect(other, 5001);
        rig.guest.until(|guest| guest.tcp(refused).state() == State::Closed);
        rig.finish();
    }
}

#[test]
fn a_host_that_refuses_refuses_the_guest() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut rig = Rig::allow(&[format!("tcp:127.0.0.1:{}", address.port())]);
    let call = rig.guest.connect(through_gateway(address), 5000);
    rig.guest.until(|guest| guest.tcp(call).state() == State::Closed);
    rig.finish();
}

#[test]
fn a_rule_opens_udp_and_its_answers() {
    let host = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = host.local_addr().unwrap();
    let mut rig = Rig::allow(&[format!("udp:127.0.0.1:{}", address.port())]);
    host.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let echo = thread::spawn(move || {
        let mut data = [0; 65_536];
        let (size, from) = host.recv_from(&mut data).unwrap();
        host.send_to(&data[..size], from).unwrap();
    });
    let handle = udp_socket(&mut rig.guest, 7000);
    let data = &megabyte(6)[..9000];
    send_udp(&mut rig.guest, handle, data, through_gateway(address));
    rig.guest.until(|guest| guest.sockets.get_mut::<udp::Socket<'_>>(handle).can_recv());
    let (answer, meta) = rig.guest.sockets.get_mut::<udp::Socket<'_>>(handle).recv().unwrap();
    assert!(answer == data);
    assert_eq!(SocketAddr::new(meta.endpoint.addr.into(), meta.endpoint.port), through_gateway(address));
    echo.join().unwrap();
    rig.finish();
}

#[test]
fn dns_goes_to_the_resolver_over_udp_and_tcp() {
    // One port that is free for both protocols.
    let (udp, tcp) = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap())
        .find_map(|udp| TcpListener::bind(udp.local_addr().unwrap()).ok().map(|tcp| (udp, tcp)))
        .unwrap();
    let resolver = udp.local_addr().unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let allow = ["dns".to_owned()];
    let mut rig = Rig::new(&Options { allow: &allow, resolver: Some(resolver), ..Options::default() });
    let host = thread::spawn(move || {
        let mut query = [0; 512];
        let (size, from) = udp.recv_from(&mut query).unwrap();
        assert_eq!(&query[..size], b"query");
        udp.send_to(b"answer", from).unwrap();
        let (mut stream, _) = tcp.accept().unwrap();
        let mut query = String::new();
        stream.read_to_string(&mut query).unwrap();
        stream.write_all(query.to_uppercase().as_bytes()).unwrap();
    });
    for dns in ["10.0.2.3:53", "[fd52:494e:4757::3]:53"] {
        let dns: SocketAddr = dns.parse().unwrap();
        if dns.is_ipv6() {
            let call = rig.guest.connect(dns, 5000);
            assert_eq!(exchange(&mut rig.guest, call, b"query"), b"QUERY");
            continue;
        }
        let handle = udp_socket(&mut rig.guest, 7000);
        send_udp(&mut rig.guest, handle, b"query", dns);
        rig.guest.until(|guest| guest.sockets.get_mut::<udp::Socket<'_>>(handle).can_recv());
        let (answer, _) = rig.guest.sockets.get_mut::<udp::Socket<'_>>(handle).recv().unwrap();
        assert_eq!(answer, b"answer");
    }
    host.join().unwrap();
    rig.finish();
}
