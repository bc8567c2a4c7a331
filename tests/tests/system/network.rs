//! `echo` over the userspace network: every byte comes back, over TCP and UDP, and everybody goes when told.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::process::Signal;
use tests::{App, Backend, Ringwall, Running, on_each_backend, processes_in_group, wait_for_end};

on_each_backend!(
    a_megabyte_comes_back_exactly,
    twenty_connections_at_once_do_not_mix,
    connections_one_after_the_other_all_work,
    datagrams_come_back_exactly,
    published_ports_are_on_loopback_only,
    port_in_use_is_refused_in_one_line,
    helper_and_monitor_end_with_the_parent,
    sigterm_ends_it_with_zero_even_with_open_connections,
);

const PATIENCE: Duration = Duration::from_secs(30);

fn start(backend: Backend) -> (Running, SocketAddr, SocketAddr) {
    let running =
        Ringwall::run_app(backend, App::Echo).args(["--publish", "0:7", "--publish", "0:7/udp"]).start();
    let (tcp, udp) = (running.published("tcp"), running.published("udp"));
    let _ = running.stdout.line_with("echo on port 7");
    (running, tcp, udp)
}

fn end(running: Running) {
    running.signal(Signal::TERM);
    let run = running.wait().expect(0);
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn random(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(size_bytes).collect()
}

/// Sends, says that this was all, and checks that all comes back and then the end.
fn exchange(address: SocketAddr, data: &[u8]) {
    let mut stream = connect(address);
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(data).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).unwrap();
        assert_eq!(echoed.len(), data.len());
        assert!(echoed == data, "{} bytes came back changed", data.len());
    });
}

fn a_megabyte_comes_back_exactly(backend: Backend) {
    let (running, tcp, _) = start(backend);
    for size_bytes in [0, 1, 1460, 65_536, 1 << 20] {
        exchange(tcp, &random(size_bytes as u64, size_bytes));
    }
    end(running);
}

fn twenty_connections_at_once_do_not_mix(backend: Backend) {
    let (running, tcp, _) = start(backend);
    std::thread::scope(|scope| {
        for seed in 0..20 {
            scope.spawn(move || exchange(tcp, &random(seed, 100_000)));
        }
    });
    end(running);
}

fn connections_one_after_the_other_all_work(backend: Backend) {
    let (running, tcp, _) = start(backend);
    for number in 0..300_u32 {
        exchange(tcp, &number.to_le_bytes());
    }
    end(running);
}

fn datagrams_come_back_exactly(backend: Backend) {
    let (running, _, udp) = start(backend);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(udp).unwrap();
    for size_bytes in [0, 1, 17, 1000, 1472] {
        let data = random(size_bytes as u64, size_bytes);
        socket.send(&data).unwrap();
        let mut echoed = [0; 2000];
        let taken = socket.recv(&mut echoed).unwrap();
        assert!(echoed[..taken] == data, "{size_bytes} bytes");
    }
    end(running);
}

fn published_ports_are_on_loopback_only(backend: Backend) {
    let (running, tcp, udp) = start(backend);
    assert!(tcp.ip().is_loopback() && udp.ip().is_loopback());
    // The port is free on every other address.
    assert!(TcpListener::bind(("127.0.0.2", tcp.port())).is_ok());
    end(running);
}

fn port_in_use_is_refused_in_one_line(backend: Backend) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let publish = format!("{port}:7");
    let run = Ringwall::run_app(backend, App::Echo).args(["--publish", &publish]).run().expect(71);
    run.says_once(&port.to_string());
}

fn helper_and_monitor_end_with_the_parent(backend: Backend) {
    let (running, tcp, _) = start(backend);
    let _open = connect(tcp);
    let (group, children, guest) = (running.pid(), running.children(), running.guest());
    assert_eq!(children.len(), 2);
    running.signal(Signal::KILL);
    let _ = running.wait();
    children.into_iter().chain(guest).for_each(wait_for_end);
    assert_eq!(processes_in_group(group), []);
}

fn sigterm_ends_it_with_zero_even_with_open_connections(backend: Backend) {
    let (running, tcp, _) = start(backend);
    let mut open = connect(tcp);
    open.write_all(b"still there?").unwrap();
    let mut echoed = [0; 12];
    open.read_exact(&mut echoed).unwrap();
    let group = running.pid();
    end(running);
    assert_eq!(processes_in_group(group), []);
}
