//! Backends that refuse, hang, die and come back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, listen as listen_with, socket};
use tests::{Backend, on_each_backend};

use super::rig::{Rig, accept, echo, exchange, is_ended, listen, number, reset};

on_each_backend!(
    a_killed_backend_costs_no_more_than_its_own_connections,
    a_backend_that_hangs_is_passed_over,
    without_a_backend_clients_read_an_end,
    a_backend_that_answers_badly_gets_nobody,
);

const QUICK: [&str; 4] = ["health-interval=100ms", "health-timeout=2s", "health-fall=2", "health-rise=2"];

/// Opens a connection that the backend behind `listener` gets.
fn open_to(rig: &Rig, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = rig.connect();
    client.write_all(b"c").unwrap();
    let (server, _) = accept(listener);
    (client, server)
}

fn a_killed_backend_costs_no_more_than_its_own_connections(backend: Backend) {
    let (mortal, address) = listen();
    let survivor = echo(2);
    // No check may find out before clients do.
    let rig =
        Rig::start(backend, &[address, survivor], &["health-interval=1h", "health-fall=2", "health-rise=1"]);
    let (mut lost, in_flight) = open_to(&rig, &mortal);
    let mut kept = rig.connect();
    assert_eq!(number(&mut kept), 2);
    // It dies: nobody listens, and what it was doing is broken off.
    drop(mortal);
    reset(in_flight);
    assert!(!is_ended(&mut lost), "it was not told");
    // Everybody from now on is served, whoever's turn it is, and whoever had the other backend still has it.
    for round in 0..20_u8 {
        let mut client = rig.connect();
        assert_eq!(number(&mut client), 2);
        exchange(&mut client, &[round; 100]);
        exchange(&mut kept, &[round; 100]);
    }
    // Twice, or once if the first check came too late to find it alive.
    let refused = rig.count_of(address, "refused_total");
    assert!((1..=2).contains(&refused), "{refused}");
    assert_eq!(rig.count("lb_retried_total"), refused);
    assert_eq!((rig.count("lb_backend_failed_total"), rig.count("lb_turned_away_total")), (1, 0));
    assert_eq!((rig.count_of(address, "up"), rig.count_of(survivor, "up")), (0, 1));
    drop(kept);
    rig.end();
}

/// A port whose connections are never accepted, nor refused: its queue is full.
fn hanging() -> (rustix::fd::OwnedFd, SocketAddr, Vec<TcpStream>) {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen_with(&listener, 0).unwrap();
    let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
    let filler = vec![TcpStream::connect(address).unwrap()];
    (listener, address, filler)
}

fn a_backend_that_hangs_is_passed_over(backend: Backend) {
    let (_listener, address, _filler) = hanging();
    let settings = ["connect-timeout=2s", "health-interval=1h", "health-timeout=1h", "health-fall=1"];
    let rig = Rig::start(backend, &[address, echo(2)], &settings);
    // Both have their turn once; then the first is out.
    for _ in 0..6 {
        assert_eq!(number(&mut rig.connect()), 2);
    }
    assert_eq!((rig.count("lb_retried_total"), rig.count_of(address, "up")), (1, 0));
    rig.end();
}

fn without_a_backend_clients_read_an_end(backend: Backend) {
    let (listener, address) = listen();
    drop(listener);
    let rig = Rig::start(backend, &[address], &QUICK);
    rig.wait_until(|rig| rig.count_of(address, "up") == 0);
    let mut client = rig.connect();
    client.write_all(b"anybody there?").unwrap();
    assert!(is_ended(&mut client), "a reset");
    assert_eq!(rig.count("lb_turned_away_total"), 1);
    // It comes back, on the same port.
    let listener = TcpListener::bind(address).unwrap();
    rig.wait_until(|rig| rig.count_of(address, "up") == 1);
    let (mut client, mut server) = open_to(&rig, &listener);
    server.write_all(b"here").unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"here");
    drop((client, server));
    let log = rig.end();
    assert!(log.contains("2 connections taken, 1 finished, 0 cut off, 1 turned away"), "{log}");
}

/// Answers every request with a status line, until the program ends.
fn answering(status: &'static str) -> SocketAddr {
    let (listener, address) = listen();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = [0; 512];
            let size_bytes = stream.read(&mut head).unwrap_or(0);
            if head[..size_bytes].starts_with(b"GET /health HTTP/1.1\r\nHost: 10.0.2.2:") {
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
            }
        }
    });
    address
}

fn a_backend_that_answers_badly_gets_nobody(backend: Backend) {
    let (good, bad) = (answering("204 No Content"), answering("503 Service Unavailable"));
    let rig = Rig::start(backend, &[bad, good], &[&QUICK[..], &["health-path=/health"]].concat());
    rig.wait_until(|rig| rig.count_of(bad, "up") == 0 && rig.count_of(bad, "checks_failed_total") >= 4);
    assert_eq!((rig.count_of(good, "up"), rig.count_of(good, "checks_failed_total")), (1, 0));
    for _ in 0..4 {
        let mut client = rig.connect();
        client.write_all(b"GET /health HTTP/1.1\r\nHost: 10.0.2.2:\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    rig.end();
}
