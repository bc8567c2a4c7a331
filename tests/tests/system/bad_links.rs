//! TCP over a link that loses, doubles and reorders frames, and under a flood of connection attempts, with the kernel's TCP at
//! the other end.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use tests::{App, Backend, Ringwall, Running, in_own_network, on_each_backend};

use crate::relay::{Faults, Relay};
use crate::tap::{GUEST, command};

on_each_backend!(
    bytes_arrive_unchanged_over_a_link_that_loses_doubles_and_reorders,
    flood_of_attempts_leaves_established_connections_working,
);

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// Starts the echo server at the end of a link.
fn start(backend: Backend, faults: Faults) -> (Running, Relay) {
    for line in ["ip link set lo up", "ip tuntap add dev tap0 mode tap", "ip addr add 10.77.0.1/24 dev tap0"]
    {
        command(line);
    }
    command("ip link set tap0 up");
    let relay = Relay::start("tap0", faults);
    let net = format!("net=fd:{},ip={GUEST}/24,mac=02:00:00:00:00:77", relay.fd());
    let running = Ringwall::run_app(backend, App::Echo).args(["--net", &net]).start();
    let _ = running.stdout.line_with("echo on port");
    (running, relay)
}

fn connect() -> TcpStream {
    let address: SocketAddr = format!("{GUEST}:7").parse().unwrap();
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(60)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// Sends bytes to the echo server and wants the same back, and then the end.
fn echo_all(mut stream: TcpStream, size_bytes: usize) {
    let sent: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size_bytes).collect();
    let mut writer = stream.try_clone().unwrap();
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut received).unwrap();
    });
    assert!(received == sent, "{} of {} bytes came back, or others", received.len(), sent.len());
}

fn end(running: Running) {
    running.signal(Signal::TERM);
    let _ = running.wait().expect(0);
}

fn bytes_arrive_unchanged_over_a_link_that_loses_doubles_and_reorders(backend: Backend) {
    in_own_network(|| {
        let (running, _relay) = start(backend, Faults { loss: 5, duplication: 5, reordering: 5 });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| echo_all(connect(), 100_000));
            }
        });
        end(running);
    });
}

fn flood_of_attempts_leaves_established_connections_working(backend: Backend) {
    in_own_network(|| {
        let (running, relay) = start(backend, Faults::default());
        let mut stream = connect();
        for round in 0..50_u8 {
            for number in 0..400_u16 {
                // What the link does not take is lost, as on a wire.
                let _room = relay.inject(&attempt(round, number));
            }
            stream.write_all(&[round; 100]).unwrap();
            let mut back = [0; 100];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, [round; 100]);
        }
        echo_all(stream, 1 << 20);
        // Those that never finished their handshakes have given way.
        echo_all(connect(), 10_000);
        end(running);
    });
}

/// A SYN to the echo port from an address on the link where nobody is.
fn attempt(round: u8, number: u16) -> Vec<u8> {
    let host = 10 + number.to_le_bytes()[0] % 200;
    let port = 1024 + u16::from(round) * 400 + number;
    let ip: [u8; 20] = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, host, 10, 77, 0, 2];
    let mut tcp = [0_u8; 20];
    tcp[..2].copy_from_slice(&port.to_be_bytes());
    tcp[3] = 7;
    tcp[7] = round;
    tcp[12] = 0x50;
    tcp[13] = 2;
    tcp[14] = 0x10;
    let sum = |bytes: &[u8], start: u32| {
        let mut sum =
            bytes.chunks(2).fold(start, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !u16::try_from(sum).unwrap()
    };
    let mut ip = ip;
    let ip_sum = sum(&ip, 0).to_be_bytes();
    ip[10..12].copy_from_slice(&ip_sum);
    // Protocol, length and both addresses: the pseudo-header.
    let pseudo =
        ip[12..20].chunks(2).fold(26, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let tcp_sum = sum(&tcp, pseudo).to_be_bytes();
    tcp[16..18].copy_from_slice(&tcp_sum);
    let ethernet = [&MAC[..], &[2, 0, 0, 0, 1, host], &[8, 0]].concat();
    [&ethernet[..], &ip, &tcp].concat()
}
