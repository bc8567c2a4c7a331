//! `lb` and HAProxy with one thread, each before the same two nginx, under wrk.
//!
//! Both are one hop away from client and backends, `lb` over the tap and HAProxy over the veth, and make a connection to a
//! backend for each of a client's.

use std::process::{Child, Command, Stdio};

use bench::result::Comparison;

use super::guest::Guest;
use super::nginx::{Nginx, wait_for};
use super::of_pairs;
use super::world::{GUEST, PEER, World};
use super::wrk::load;
use crate::{Backend, Failure};

/// This side's addresses, on the tap and on the veth.
const ON_TAP: &str = "10.77.0.1";
const ON_VETH: &str = "10.78.0.1";
const PORTS: [u16; 2] = [8001, 8002];
/// As large as that of the `web` appliance's site.
const CONTENT: [u8; 342] = [b'x'; 342];

/// Requests per second, and the 99th percentile of their times.
pub(super) fn measure(world: &World, backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let servers = PORTS.map(|port| Nginx::start("0.0.0.0", port, &CONTENT));
    let servers = servers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let haproxy = Haproxy::start(world)?;
    let backends = format!("backends={}", PORTS.map(|port| format!("{ON_TAP}:{port}")).join(","));
    let mut guest = Guest::start(backend, "lb", &[], &[&backends])?;
    guest.line_with("port 80")?;
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (ours, reference) = (load(GUEST)?, load(PEER)?);
        rates.push((ours.0, reference.0));
        times.push((ours.1, reference.1));
    }
    guest.end()?;
    drop((haproxy, servers));
    Ok(vec![
        of_pairs("lb, 64 keep-alive connections / HAProxy", "k/s", &rates),
        of_pairs("lb, 99th percentile / HAProxy", "ms", &times),
    ])
}

/// HAProxy with one thread in the peer's network, which does what `lb` does. It is killed when dropped.
struct Haproxy {
    child: Child,
    file: std::path::PathBuf,
}

impl Haproxy {
    fn start(world: &World) -> Result<Self, Failure> {
        let file = std::env::temp_dir().join(format!("bench-haproxy-{}.cfg", std::process::id()));
        let servers = PORTS.map(|port| format!("  server nginx{port} {ON_VETH}:{port} check\n")).concat();
        let configuration = format!(
            "global\n  nbthread 1\n  maxconn 2000\n\
             defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 5m\n  timeout server 5m\n\
             listen lb\n  bind {PEER}:80\n  balance roundrobin\n{servers}"
        );
        std::fs::write(&file, configuration)?;
        let child = world.as_peer(|| {
            let started = Command::new("haproxy").arg("-q").arg("-f").arg(&file).stdin(Stdio::null()).spawn();
            Ok(started.map_err(|error| format!("haproxy: {error}; `scripts/ci setup` installs it"))?)
        })?;
        let haproxy = Self { child, file };
        wait_for(PEER, 80)?;
        Ok(haproxy)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        let _gone = std::fs::remove_file(&self.file);
    }
}
