//! An adversary whose disk and network fail all the time, and come back.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tests::{Ringwall, Running};

use super::{DISK_BYTES, Random, disk, started};
use crate::host::Host;

/// Its interface, and a neighbour that the host believes to be behind it.
pub(crate) const TAP: &str = "tap0";
const HOST: &str = "10.77.0.1";
const GUEST: &str = "10.77.0.2";

/// The adversary, and what it lives on.
#[derive(Debug)]
pub(super) struct Trouble {
    running: Running,
    disk: tempfile::NamedTempFile,
    /// Only root makes an interface.
    tap: bool,
    faults: u64,
}

impl Trouble {
    /// Starts the adversary.
    pub(super) fn new(host: Host, root: bool) -> Result<Self, String> {
        if root {
            make_tap()?;
        }
        let disk = disk()?;
        let net = if root { format!("net=tap:{TAP}") } else { "net=user".to_owned() };
        let running = started(Ringwall::new(), host, &net, disk.path()).guest(&["1"]).start();
        let _ = running.stdout.line_with("adversary ");
        Ok(Self { running, disk, tap: root, faults: 0 })
    }

    /// Its process group.
    pub(super) fn group(&self) -> Pid {
        self.running.pid()
    }

    /// How often something has failed.
    pub(super) const fn count(&self) -> u64 {
        self.faults
    }

    /// The adversary itself.
    pub(super) fn into_running(self) -> Running {
        self.running
    }

    /// Lets something fail, or work again.
    pub(super) fn make(&mut self, random: &mut Random) -> Result<(), String> {
        self.faults += 1;
        match random.below(if self.tap { 8 } else { 4 }) {
            // Reads past the new end, and writes that let it grow.
            0 => self.disk.as_file().set_len(random.below(DISK_BYTES)).map_err(|error| error.to_string()),
            1 => self.disk.as_file().set_len(DISK_BYTES).map_err(|error| error.to_string()),
            2 => self.limit_files(Some(random.below(DISK_BYTES))).and_then(|()| {
                std::thread::sleep(Duration::from_millis(random.below(100)));
                self.limit_files(None)
            }),
            3 => {
                self.running.signal_all(Signal::STOP);
                std::thread::sleep(Duration::from_millis(random.below(20)));
                self.running.signal_all(Signal::CONT);
                Ok(())
            }
            4 => ip(&format!("link set {TAP} down")),
            // The neighbour goes with the link.
            5 => ip(&format!("link set {TAP} up"))
                .and_then(|()| ip(&format!("neigh replace {GUEST} lladdr 02:00:00:00:00:02 dev {TAP}"))),
            6 => ip(&format!("link set {TAP} mtu {}", 576 + random.below(8_000))),
            _ => flood(random),
        }
    }

    /// Lets writes of the monitor end at a place in its disk (EFBIG), or not.
    fn limit_files(&self, bytes: Option<u64>) -> Result<(), String> {
        let Some(&monitor) = self.running.children().last() else { return Ok(()) };
        let limit = Rlimit { current: bytes, maximum: None };
        let set = rustix::process::prlimit(Some(monitor), Resource::Fsize, limit);
        set.map(|_| ()).map_err(|errno| format!("a limit for {monitor}: {errno}"))
    }
}

/// Makes an interface that is up, with the neighbour behind it.
pub(crate) fn make_tap() -> Result<(), String> {
    for line in [
        format!("tuntap add dev {TAP} mode tap"),
        format!("addr add {HOST}/24 dev {TAP}"),
        format!("link set {TAP} up"),
        format!("neigh add {GUEST} lladdr 02:00:00:00:00:02 dev {TAP}"),
    ] {
        ip(&line)?;
    }
    Ok(())
}

/// Frames from the host, more than the interface's queue holds, of all sizes.
pub(crate) fn flood(random: &mut Random) -> Result<(), String> {
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    let text = vec![0x5a; 9_000];
    for _ in 0..2_000 {
        let size = usize::try_from(random.below(9_000)).unwrap_or(0);
        // While the interface is down, nothing leaves.
        let _ = socket.send_to(&text[..size], (GUEST, 9));
    }
    Ok(())
}

/// Runs `ip`.
pub(crate) fn ip(line: &str) -> Result<(), String> {
    let output = Command::new("ip").args(line.split(' ')).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {line}: {said}")) }
}
