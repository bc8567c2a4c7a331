//! Many idle connections: what they cost in memory, and what they cost an active one.

use std::net::TcpStream;

use bench::result::Comparison;

use super::bulk::download;
use super::guest::Guest;
use super::native::GENERATOR;
use super::of_pairs;
use super::world::GUEST;
use crate::{Backend, Failure};

const FEW: usize = 10;
const MANY: usize = 10_000;
/// Resident memory that an idle connection may cost.
const LIMIT_KIB: f64 = 16.0;
const ECHO: u16 = 7;

/// Throughput of one connection beside many idle ones, against that beside few; memory per idle one.
pub(super) fn measure(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    // Both ends of a connection on this side, and what the process has open anyway.
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: Some(20_000), maximum: Some(20_000) },
    )?;
    let mut guest = Guest::start(backend, "traffic", &["--mem", "512M"], &["serve"])?;
    guest.line_with("serving")?;
    let (mut speeds, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut idle = Vec::new();
        connect(&mut idle, FEW)?;
        let few = download((GUEST, GENERATOR))?;
        let before = resident_kib(&guest)?;
        connect(&mut idle, MANY)?;
        if sizes.is_empty() {
            sizes.push(((resident_kib(&guest)? - before) / (MANY - FEW) as f64, LIMIT_KIB));
        }
        speeds.push((download((GUEST, GENERATOR))?, few));
    }
    guest.end()?;
    Ok(vec![
        of_pairs("TCP beside 10,000 idle connections / beside 10", "Gb/s", &speeds),
        of_pairs("memory per idle connection / limit", "KiB", &sizes),
    ])
}

fn connect(idle: &mut Vec<TcpStream>, count: usize) -> Result<(), Failure> {
    while idle.len() < count {
        let stream = TcpStream::connect((GUEST, ECHO))?;
        // Ended by a reset, so that no port stays taken for the next round.
        rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO))?;
        idle.push(stream);
    }
    Ok(())
}

fn resident_kib(guest: &Guest) -> Result<f64, Failure> {
    guest.processes()?.iter().map(|pid| crate::memory::resident_kib(pid)).sum()
}
