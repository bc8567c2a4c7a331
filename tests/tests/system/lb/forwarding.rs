//! Bytes and ends of streams, who gets which connection, and what backends are told.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::process::Command;
use std::time::Duration;

use ppp::v2::{Addresses, Header};
use tests::{App, Backend, Ringwall, on_each_backend};

use super::rig::{Rig, accept, connect, echo, exchange, is_ended, listen, number, reset};

on_each_backend!(
    bytes_and_ends_of_streams_pass_both_ways_unchanged,
    a_reader_that_sleeps_loses_nothing,
    a_reset_passes_from_either_side_to_the_other,
    connections_go_to_each_backend_in_turn,
    least_connections_go_where_fewest_are,
    backends_are_told_by_proxy_headers_who_the_client_is,
    connections_beyond_the_limit_wait_for_room,
    silent_connections_are_ended,
    curl_gets_the_status_page,
    wrong_settings_are_refused_in_one_line,
);

fn random(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(size_bytes).collect()
}

fn bytes_and_ends_of_streams_pass_both_ways_unchanged(backend: Backend) {
    let rig = Rig::start(backend, &[echo(1), echo(2)], &[]);
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let rig = &rig;
            scope.spawn(move || {
                let data = random(seed, 300_000);
                let mut stream = rig.connect();
                let mut writer = stream.try_clone().unwrap();
                let sent = data.clone();
                let writing = std::thread::spawn(move || {
                    writer.write_all(&sent).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                // The backend answers until it has read the end that the client sent.
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                writing.join().unwrap();
                assert!(answer[1..] == data, "{} bytes came back changed", answer.len());
            });
        }
    });
    rig.wait_until(|rig| rig.count("lb_finished_total") == 8 && rig.count("lb_connections") == 0);
    rig.end();
}

fn a_reader_that_sleeps_loses_nothing(backend: Backend) {
    let (listener, address) = listen();
    let rig = Rig::start(backend, &[address], &[]);
    let data = random(9, 8 << 20);
    let mut writer = rig.connect();
    let sent = data.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer
    });
    let (mut sleeper, first) = accept(&listener);
    // Until every buffer on the way is full: nothing more is taken in, however long nobody reads.
    rig.wait_until(|rig| {
        let taken = rig.count_of(address, "bytes_in_total");
        std::thread::sleep(Duration::from_millis(100));
        taken > 0 && taken == rig.count_of(address, "bytes_in_total")
    });
    assert!(rig.count_of(address, "bytes_in_total") < data.len() as u64, "everything was taken in");
    let mut taken = vec![first; data.len()];
    sleeper.read_exact(&mut taken[1..]).unwrap();
    assert!(taken == data);
    drop(writing.join().unwrap());
    rig.end();
}

fn a_reset_passes_from_either_side_to_the_other(backend: Backend) {
    let (listener, address) = listen();
    let rig = Rig::start(backend, &[address], &[]);
    let mut client = rig.connect();
    client.write_all(b"c").unwrap();
    let (server, _) = accept(&listener);
    reset(server);
    assert!(client.read(&mut [0]).is_err(), "an end in order");
    rig.wait_until(|rig| rig.count("lb_backend_failed_total") == 1);
    let mut client = rig.connect();
    client.write_all(b"c").unwrap();
    let (mut server, _) = accept(&listener);
    reset(client);
    assert!(server.read(&mut [0]).is_err(), "an end in order");
    rig.wait_until(|rig| rig.count("lb_client_failed_total") == 1 && rig.count("lb_connections") == 0);
    rig.end();
}

fn connections_go_to_each_backend_in_turn(backend: Backend) {
    let rig = Rig::start(backend, &[echo(0), echo(1), echo(2)], &[]);
    // One after the other, and all of them stay.
    let mut streams: Vec<_> = (0..9).map(|_| rig.connect()).collect();
    let mut counts = [0; 3];
    for stream in &mut streams {
        counts[usize::from(number(stream))] += 1;
    }
    assert_eq!(counts, [3, 3, 3]);
    drop(streams);
    rig.end();
}

fn least_connections_go_where_fewest_are(backend: Backend) {
    let backends = [echo(0), echo(1), echo(2)];
    let rig = Rig::start(backend, &backends, &["balance=least-connections"]);
    let open = || {
        let mut stream = rig.connect();
        (number(&mut stream), stream)
    };
    let mut streams: Vec<_> = (0..9).map(|_| open()).collect();
    let held = |streams: &[(u8, _)], number| streams.iter().filter(|(other, _)| *other == number).count();
    assert_eq!([0, 1, 2].map(|number| held(&streams, number)), [3, 3, 3]);
    streams.retain(|(number, _)| *number != 1);
    rig.wait_until(|rig| rig.count_of(backends[1], "connections") == 0);
    for _ in 0..3 {
        let (number, stream) = open();
        assert_eq!(number, 1);
        streams.push((number, stream));
    }
    drop(streams);
    rig.end();
}

fn backends_are_told_by_proxy_headers_who_the_client_is(backend: Backend) {
    let (listener, address) = listen();
    let rig = Rig::start(backend, &[address], &["proxy-protocol=v2"]);
    let mut client = rig.connect();
    client.write_all(b"hello").unwrap();
    // A health check says that it is one, with a header of 16 bytes; a client's has addresses.
    loop {
        let (mut stream, first) = accept(&listener);
        let mut bytes = vec![first; 16];
        stream.read_exact(&mut bytes[1..]).unwrap();
        if bytes[12] == 0x20 {
            assert_eq!(bytes, b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00");
            continue;
        }
        bytes.resize(16 + 12 + 5, 0);
        stream.read_exact(&mut bytes[16..]).unwrap();
        let (header, rest) = bytes.split_at(28);
        let Addresses::IPv4(addresses) = Header::try_from(header).unwrap().addresses else {
            panic!("{header:?}")
        };
        // On this network all clients come from the gateway.
        assert_eq!(IpAddr::V4(addresses.source_address), IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)));
        assert_eq!(IpAddr::V4(addresses.destination_address), IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15)));
        assert_eq!(addresses.destination_port, 80);
        assert_eq!(rest, b"hello");
        break;
    }
    rig.end();
}

fn connections_beyond_the_limit_wait_for_room(backend: Backend) {
    let rig = Rig::start(backend, &[echo(7)], &["max-connections=2"]);
    let mut first = rig.connect();
    let mut second = rig.connect();
    assert_eq!((number(&mut first), number(&mut second)), (7, 7));
    let mut third = rig.connect();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "there was room for a third one");
    assert_eq!((rig.count("lb_connections "), rig.count("lb_connections_max")), (2, 2));
    exchange(&mut second, b"still here");
    drop(first);
    third.set_read_timeout(Some(super::rig::PATIENCE)).unwrap();
    assert_eq!(number(&mut third), 7);
    drop((second, third));
    rig.end();
}

fn silent_connections_are_ended(backend: Backend) {
    let rig = Rig::start(backend, &[echo(7)], &["idle-timeout=4s"]);
    let mut stream = rig.connect();
    assert_eq!(number(&mut stream), 7);
    // As long as something moves it goes on.
    for _ in 0..9 {
        std::thread::sleep(Duration::from_millis(500));
        exchange(&mut stream, b"not idle");
    }
    let ended = stream.read(&mut [0]);
    assert!(matches!(ended, Ok(0) | Err(_)));
    rig.wait_until(|rig| rig.count("lb_idle_total") == 1 && rig.count("lb_connections ") == 0);
    rig.end();
}

fn curl_gets_the_status_page(backend: Backend) {
    let rig = Rig::start(backend, &[echo(7)], &[]);
    let fetch = |options: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "30"])
            .args(options)
            .arg(rig.status_url())
            .output()
            .ok()?;
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let Some(page) = fetch(&["--fail"]) else { return tests::skip("curl is not installed") };
    assert!(page.contains("lb_accepted_total 0\n") && page.contains("lb_backend_up{"), "{page}");
    assert!(fetch(&["--head"]).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(fetch(&["--include", "--data", "x=1"]).unwrap().starts_with("HTTP/1.1 405 "));
    // A request that is too long, and one that never comes to its end, hold nobody up.
    let address = rig.status_url()[7..].trim_end_matches('/').parse().unwrap();
    let mut long = connect(address);
    let _ = long.write_all(&[b'x'; 10_000]);
    let slow: Vec<_> = (0..3).map(|_| connect(address)).collect();
    assert!(fetch(&["--fail"]).unwrap().contains("lb_accepted_total 0\n"));
    drop(slow);
    rig.end();
}

fn wrong_settings_are_refused_in_one_line(backend: Backend) {
    for (setting, reason) in [
        ("listen=0", "listen: `0` is not a number from 1 to 65535"),
        ("backends=nowhere", "backends: `nowhere` is not ADDRESS:PORT"),
        ("spread=even", "there is no setting `spread`"),
    ] {
        let run = Ringwall::run_app(backend, App::Lb).guest(&[setting]).run().expect(2);
        assert!(run.stdout.contains(reason) && run.stdout.lines().count() == 1, "{}", run.stdout);
    }
}

/// Ends in order are told from others.
#[test]
fn a_reset_is_not_an_end_in_order() {
    let (listener, address) = listen();
    let mut client = connect(address);
    reset(listener.accept().unwrap().0);
    assert!(!is_ended(&mut client));
    let mut client = connect(address);
    drop(listener.accept().unwrap());
    assert!(is_ended(&mut client));
}
