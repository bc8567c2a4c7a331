//! Bare frames over the tap: the guest, and a native program that makes one system call per frame.

use std::time::{Duration, Instant};

use bench::result::Comparison;
use loader::net::tap::Tap;
use rustix::event::{PollFd, PollFlags, poll};

use super::flood::Flood;
use super::guest::Guest;
use super::in_turn;
use super::world::TAP;
use crate::{Backend, Failure};

/// Frames of a transmit round, and how long a receive round lasts.
const FRAMES: u64 = 400_000;
const RECEIVING: Duration = Duration::from_millis(700);

/// Frames per second in each direction, short and long ones.
pub(super) fn measure(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let row = |name, sending: bool, size_bytes| {
        in_turn(
            name,
            "k/s",
            rounds,
            || if sending { guest_sends(backend, size_bytes) } else { guest_receives(backend, size_bytes) },
            || if sending { native_sends(size_bytes) } else { native_receives(size_bytes) },
        )
    };
    Ok(vec![
        row("frames of 60 B sent / native", true, 60)?,
        row("frames of 1514 B sent / native", true, 1514)?,
        row("frames of 60 B received / native", false, 60)?,
        row("frames of 1514 B received / native", false, 1514)?,
    ])
}

fn guest_sends(backend: Backend, size_bytes: usize) -> Result<f64, Failure> {
    let arguments = ["send", &size_bytes.to_string(), &FRAMES.to_string()];
    let mut guest = Guest::start(backend, "traffic", &[], &arguments)?;
    let line = guest.line_with("frames in")?;
    guest.wait()?;
    rate_of(&line)
}

fn guest_receives(backend: Backend, size_bytes: usize) -> Result<f64, Failure> {
    let milliseconds = RECEIVING.as_millis().to_string();
    let mut guest = Guest::start(backend, "traffic", &[], &["receive", &milliseconds])?;
    guest.line_with("receiving")?;
    let _flood = Flood::start(TAP, size_bytes)?;
    let line = guest.line_with("frames in")?;
    guest.wait()?;
    rate_of(&line)
}

/// Thousands per second, from `traffic: N frames in M ns`.
fn rate_of(line: &str) -> Result<f64, Failure> {
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let (frames, ns) = (numbers.next().ok_or("no count")?, numbers.next().ok_or("no time")?);
    Ok(frames / ns * 1e6)
}

fn native_sends(size_bytes: usize) -> Result<f64, Failure> {
    let tap = Tap::open(TAP, false)?;
    let mut frame = vec![0; size_bytes];
    frame[..6].fill(0xff);
    frame[6] = 2;
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    let start = Instant::now();
    for _ in 0..FRAMES {
        rustix::io::write(&tap.fd, &frame)?;
    }
    Ok(FRAMES as f64 / start.elapsed().as_secs_f64() / 1e3)
}

fn native_receives(size_bytes: usize) -> Result<f64, Failure> {
    let tap = Tap::open(TAP, false)?;
    let _flood = Flood::start(TAP, size_bytes)?;
    let mut frame = [0; 2048];
    let mut received = 0_u64;
    let mut start: Option<Instant> = None;
    loop {
        match rustix::io::read(&tap.fd, &mut frame) {
            Ok(_) => received += 1,
            Err(rustix::io::Errno::AGAIN) => {
                poll(&mut [PollFd::new(&tap.fd, PollFlags::IN)], None)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        let elapsed = start.get_or_insert_with(Instant::now).elapsed();
        // The clock is asked once per 64 frames, as the guest asks it once per call.
        if received.is_multiple_of(64) && elapsed >= RECEIVING {
            return Ok(received as f64 / elapsed.as_secs_f64() / 1e3);
        }
    }
}
