//! A load balancer on a tap, so that connections are the clients' and the backends' own all the way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use tests::{App, Backend, Ringwall, Running, in_own_network, on_each_backend};

use super::rig::{PATIENCE, exchange, is_ended};
use crate::tap::{GUEST, command};

on_each_backend!(ports_that_a_backend_still_remembers_hold_nobody_up);

/// Connections through one backend: more than the guest has ephemeral ports, so that ports come back, long before the backend
/// forgets who had them (`TCP_TIMEWAIT_LEN` in include/net/tcp.h, Linux 6.18: 60 s).
const CONNECTIONS: usize = 17_500;

/// Starts it in the network namespace of the test, in front of servers that answer each connection's one request of 100 bytes and
/// end it.
pub(super) fn start_over_tap(backend: Backend, ports: &[u16], settings: &[&str]) -> (Running, SocketAddr) {
    for line in [
        "ip link set lo up",
        "ip tuntap add dev tap0 mode tap",
        "ip addr add 10.77.0.1/24 dev tap0",
        "ip link set tap0 up",
    ] {
        command(line);
    }
    for port in ports {
        let listener = TcpListener::bind(("10.77.0.1", *port)).unwrap();
        std::thread::spawn(move || serve(&listener));
    }
    let net = format!("net=tap:tap0,ip={GUEST}/24");
    let backends = ports.iter().map(|port| format!("10.77.0.1:{port}")).collect::<Vec<_>>();
    let backends = format!("backends={}", backends.join(","));
    let running = Ringwall::run_app(backend, App::Lb)
        .args(["--net", &net, "--grace", "60"])
        .guest(&[&backends])
        .guest(settings)
        .start();
    let _ = running.stdout.line_with("port 80 leads to");
    (running, SocketAddr::new(GUEST.parse().unwrap(), 80))
}

fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        std::thread::spawn(move || {
            let mut request = [0; 100];
            // A health check sends nothing.
            if stream.read_exact(&mut request).is_ok() {
                let _ = stream.write_all(&request);
            }
        });
    }
}

fn ports_that_a_backend_still_remembers_hold_nobody_up(backend: Backend) {
    in_own_network(|| {
        let (running, address) = start_over_tap(backend, &[8001], &[]);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < CONNECTIONS {
                        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
                        stream.set_read_timeout(Some(PATIENCE)).unwrap();
                        exchange(&mut stream, &[5; 100]);
                        assert!(is_ended(&mut stream));
                    }
                });
            }
        });
        running.signal(Signal::TERM);
        let run = running.wait().expect(0);
        let ends = format!("{CONNECTIONS} connections taken, {CONNECTIONS} finished, 0 cut off");
        assert!(run.stdout.contains(&ends), "{}", run.stdout);
        assert!(!run.stdout.contains("is down"), "{}", run.stdout);
    });
}
