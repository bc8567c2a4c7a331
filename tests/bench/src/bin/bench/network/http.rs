//! `web` and nginx under wrk.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bench::result::Comparison;

use super::guest::Guest;
use super::nginx::{FILE, Nginx};
use super::of_pairs;
use super::world::{GUEST, PEER, World};
use super::wrk::load;
use crate::{Backend, Failure};

/// Requests per second, and the 99th percentile of their times.
pub(super) fn measure(world: &World, backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let mut guest = Guest::start(backend, "web", &[], &[])?;
    guest.line_with("port 80")?;
    let content = fetch(GUEST)?;
    let nginx = world.as_peer(|| Nginx::start(PEER, 80, &content))?;
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (ours, reference) = (load(GUEST)?, load(PEER)?);
        rates.push((ours.0, reference.0));
        times.push((ours.1, reference.1));
    }
    drop(nginx);
    guest.end()?;
    Ok(vec![
        of_pairs("web, 64 keep-alive connections / nginx", "k/s", &rates),
        of_pairs("web, 99th percentile / nginx", "ms", &times),
    ])
}

/// The file's content, as `web` has it.
fn fetch(host: &str) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect((host, 80))?;
    write!(stream, "GET {FILE} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(format!("web has no {FILE}").into());
    }
    Ok(answer.split_off(end + 4))
}
