//! SIGTERM: nobody new, and everybody who is there finishes.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tests::{Backend, in_own_network, on_each_backend};

use super::rig::{PATIENCE, Rig, echo, exchange, is_ended, number};
use super::tap::start_over_tap;

on_each_backend!(
    connections_go_on_after_sigterm_until_they_end,
    connections_that_do_not_end_are_ended_in_order_when_time_is_up,
    sigterm_under_load_loses_no_connection,
);

fn connections_go_on_after_sigterm_until_they_end(backend: Backend) {
    let rig = Rig::start(backend, &[echo(1), echo(2)], &["drain-timeout=1h"]);
    let mut streams: Vec<_> = (0..4).map(|_| rig.connect()).collect();
    for stream in &mut streams {
        let _ = number(stream);
    }
    rig.running.signal(Signal::TERM);
    let _ = rig.running.stdout.line_with("draining 4 connections");
    assert_eq!(rig.count("lb_draining"), 1);
    for stream in &mut streams {
        exchange(stream, &[7; 100_000]);
    }
    // Newcomers get nothing: the userspace network accepts for the appliance, which refuses.
    let late = rig.connect().read(&mut [0]);
    assert!(matches!(late, Ok(0) | Err(_)));
    drop(streams);
    let run = rig.running.wait().expect(0);
    assert!(
        run.stdout.contains("4 connections taken, 4 finished, 0 cut off, 0 not acknowledged"),
        "{}",
        run.stdout
    );
}

fn connections_that_do_not_end_are_ended_in_order_when_time_is_up(backend: Backend) {
    let rig = Rig::start(backend, &[echo(1)], &["drain-timeout=300ms"]);
    let mut stream = rig.connect();
    assert_eq!(number(&mut stream), 1);
    rig.running.signal(Signal::TERM);
    assert!(is_ended(&mut stream), "a reset");
    let run = rig.running.wait().expect(0);
    assert!(run.stdout.contains("1 connections taken, 0 finished, 1 cut off"), "{}", run.stdout);
}

/// Over a tap, so that connections are the clients' own all the way.
fn sigterm_under_load_loses_no_connection(backend: Backend) {
    in_own_network(|| {
        let (running, address) = start_over_tap(backend, &[8001, 8002], &["drain-timeout=30s"]);
        let (served, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    // Whoever got a connection gets an answer. Who gets none has lost nothing.
                    while let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        exchange(&mut stream, &[5; 100]);
                        assert!(is_ended(&mut stream));
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                    refused.store(true, Ordering::Relaxed);
                });
            }
            while served.load(Ordering::Relaxed) < 400 {
                std::thread::sleep(Duration::from_millis(1));
            }
            running.signal(Signal::TERM);
        });
        assert!(refused.load(Ordering::Relaxed));
        let run = running.wait().expect(0);
        let served = served.load(Ordering::Relaxed);
        let ends = format!("{served} connections taken, {served} finished, 0 cut off");
        assert!(run.stdout.contains(&ends), "{served} were served, and it says\n{}", run.stdout);
    });
}
