//! TCP in bulk: the guest over the tap, the kernel's own stack over a veth of the same MTU.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bench::result::Comparison;

use super::guest::Guest;
use super::in_turn;
use super::native::{CHUNK_BYTES, DISCARD, GENERATOR};
use super::world::{GUEST, PEER};
use crate::{Backend, Failure};

/// How long a transfer runs before it counts, and how long it counts.
const WARM_UP: Duration = Duration::from_millis(300);
const COUNTED: Duration = Duration::from_millis(1000);

/// Bits per second in each direction, one connection.
pub(super) fn measure(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let names = ["TCP to the guest / kernel over veth", "TCP from the guest / kernel over veth"];
    beside_kernel(backend, rounds, names, &[])
}

/// The same through a frame policy, which judges every frame.
pub(super) fn measure_policy(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let names = ["policy: TCP to guest / kernel over veth", "policy: TCP from guest / kernel over veth"];
    let rules = [DISCARD, GENERATOR].map(|port| format!("--accept=tcp:*:{port}"));
    beside_kernel(backend, rounds, names, &rules.each_ref().map(String::as_str))
}

fn beside_kernel(
    backend: Backend,
    rounds: usize,
    [to, from]: [&'static str; 2],
    options: &[&str],
) -> Result<Vec<Comparison>, Failure> {
    let mut guest = Guest::start(backend, "traffic", options, &["serve"])?;
    guest.line_with("serving")?;
    let (discard, generator) = ((GUEST, DISCARD), (GUEST, GENERATOR));
    let rows = vec![
        in_turn(to, "Gb/s", rounds, || upload(discard), || upload((PEER, DISCARD)))?,
        in_turn(from, "Gb/s", rounds, || download(generator), || download((PEER, GENERATOR)))?,
    ];
    guest.end()?;
    Ok(rows)
}

/// Gigabits per second that a discard service takes.
pub(super) fn upload(service: (&str, u16)) -> Result<f64, Failure> {
    let mut stream = TcpStream::connect(service)?;
    let bytes = vec![b'x'; CHUNK_BYTES];
    rate(|| Ok(stream.write(&bytes)?))
}

/// Gigabits per second that a character generator gives.
pub(super) fn download(service: (&str, u16)) -> Result<f64, Failure> {
    let mut stream = TcpStream::connect(service)?;
    let mut bytes = vec![0; CHUNK_BYTES];
    rate(|| Ok(stream.read(&mut bytes)?))
}

fn rate(mut step: impl FnMut() -> Result<usize, Failure>) -> Result<f64, Failure> {
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP {
        step()?;
    }
    let (start, mut moved) = (Instant::now(), 0);
    while start.elapsed() < COUNTED {
        match step()? {
            0 => return Err("the connection ended".into()),
            bytes => moved += bytes,
        }
    }
    Ok(moved as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9)
}
