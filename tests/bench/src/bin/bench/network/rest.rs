//! An appliance with nothing to do, and how fast it is back.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bench::bare::BareMachine;
use bench::notify::Caller;
use bench::result::Comparison;
use bench::statistics::median;
use loader::net::tap::Tap;
use rustix::event::{PollFd, PollFlags, poll};

use super::command::run;
use super::guest::Guest;
use super::of_pairs;
use super::world::{GUEST, GUEST_MAC, TAP};
use crate::{Backend, Failure};

/// How long idling is watched, and the share of a core that it may take, in percent.
const WATCHED: Duration = Duration::from_secs(5);
const LIMIT_PERCENT: f64 = 0.5;
/// Questions of a round, and the pause before each: long enough for everybody to be asleep.
const QUESTIONS: usize = 200;
const PAUSE: Duration = Duration::from_millis(3);
const TRAPS: u32 = 500;

/// Processor time of an idle `web`; time from a datagram to its echo, against a bare `ppoll` loop on the same tap plus a trap.
pub(super) fn measure(backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let idle = idle_percent(backend)?;
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        let mut guest = Guest::start(backend, "traffic", &[], &["serve"])?;
        guest.line_with("serving")?;
        let ours = ask()?;
        guest.end()?;
        pairs.push((ours, native()? + trap(backend)?));
    }
    Ok(vec![
        of_pairs("processor time of an idle web / limit", "%", &[(idle, LIMIT_PERCENT)]),
        of_pairs("wake-up to echo / bare ppoll wake-up and a trap", "us", &pairs),
    ])
}

fn idle_percent(backend: Backend) -> Result<f64, Failure> {
    let mut guest = Guest::start(backend, "web", &[], &[])?;
    guest.line_with("port 80")?;
    std::thread::sleep(Duration::from_millis(500));
    let pids = guest.processes()?;
    let used = || -> Result<f64, Failure> {
        pids.iter()
            .map(|pid| {
                let statistics = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
                Ok(statistics.split_whitespace().next().ok_or("no schedstat")?.parse::<f64>()?)
            })
            .sum()
    };
    let before = used()?;
    std::thread::sleep(WATCHED);
    let after = used()?;
    guest.end()?;
    Ok((after - before) / WATCHED.as_secs_f64() / 1e9 * 100.0)
}

/// Median time from a datagram to its echo, in microseconds.
fn ask() -> Result<f64, Failure> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((GUEST, 7))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        std::thread::sleep(PAUSE);
        let start = Instant::now();
        socket.send(b"anybody there?")?;
        socket.recv(&mut [0; 64])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&mut times))
}

/// [`ask`] of a native program on the tap that does nothing but `ppoll`, read, turn around, write.
fn native() -> Result<f64, Failure> {
    let tap = Tap::open(TAP, false)?;
    run(&format!("ip neigh replace {GUEST} lladdr {GUEST_MAC} dev {TAP}"))?;
    let echo = std::thread::spawn(move || {
        let mut frame = [0; 2048];
        let mut echoed = 0;
        while echoed < QUESTIONS {
            let _ready = poll(&mut [PollFd::new(&tap.fd, PollFlags::IN)], None);
            while let Ok(taken) = rustix::io::read(&tap.fd, &mut frame) {
                if taken > 42 && frame[12..14] == [8, 0] && frame[23] == 17 {
                    turn_around(&mut frame);
                    let _sent = rustix::io::write(&tap.fd, &frame[..taken]);
                    echoed += 1;
                }
            }
        }
    });
    let time = ask()?;
    echo.join().map_err(|_| "the native echo failed")?;
    run(&format!("ip neigh del {GUEST} dev {TAP}"))?;
    Ok(time)
}

/// Exchanges MAC addresses, IPv4 addresses and ports: sums stay right.
fn turn_around(frame: &mut [u8]) {
    for (first, second, size_bytes) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        let (front, back) = frame.split_at_mut(second);
        front[first..first + size_bytes].swap_with_slice(&mut back[..size_bytes]);
    }
}

/// One trap and back, in microseconds.
fn trap(backend: Backend) -> Result<f64, Failure> {
    let time = |turn: &mut dyn FnMut() -> Result<(), Failure>| {
        turn()?;
        let start = Instant::now();
        for _ in 0..TRAPS {
            turn()?;
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(TRAPS))
    };
    match backend {
        Backend::Kvm => {
            let mut machine = BareMachine::new(&loader::backend::kvm::open()?)?;
            time(&mut || Ok(machine.turn()?))
        }
        Backend::Process => {
            let mut caller = Caller::new()?;
            time(&mut || Ok(caller.turn()?))
        }
    }
}
