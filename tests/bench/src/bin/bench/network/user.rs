//! TCP in bulk over the `user` network, which needs no root: beside slirp4netns, with which rootless containers do the same.
//!
//! Both end a guest's TCP in a stack of their own and go on through ordinary sockets on loopback. Here the host calls a published
//! port of the appliance; there a program in a namespace calls a port of the host. What is compared is the direction of the data.

use std::process::{Child, Command, Stdio};

use bench::result::Comparison;

use super::bulk::{download, upload};
use super::guest::{Guest, Net};
use super::in_turn;
use super::native::{DISCARD, GENERATOR, serve};
use super::nginx::wait_for;
use super::world::World;
use crate::{Backend, Failure};

const LOOPBACK: &str = "127.0.0.1";
/// The host's loopback, as slirp4netns shows it.
const THROUGH_SLIRP: &str = "10.0.2.2";
/// Where the appliance's services are published.
const PUBLISHED_DISCARD: u16 = 1009;
const PUBLISHED_GENERATOR: u16 = 1019;

/// Bits per second in each direction, one connection.
pub(super) fn measure(world: &World, backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    serve(LOOPBACK)?;
    let slirp = Slirp::start(world)?;
    let publish = [(PUBLISHED_DISCARD, DISCARD), (PUBLISHED_GENERATOR, GENERATOR)];
    let publish = publish.map(|(host, guest)| format!("--publish={host}:{guest}"));
    let mut guest =
        Guest::start_on(Net::User, backend, "traffic", &publish.each_ref().map(String::as_str), &["serve"])?;
    guest.line_with("serving")?;
    let rows = vec![
        in_turn(
            "user: TCP to the guest / slirp4netns",
            "Gb/s",
            rounds,
            || upload((LOOPBACK, PUBLISHED_DISCARD)),
            || world.as_peer(|| download((THROUGH_SLIRP, GENERATOR))),
        )?,
        in_turn(
            "user: TCP from the guest / slirp4netns",
            "Gb/s",
            rounds,
            || download((LOOPBACK, PUBLISHED_GENERATOR)),
            || world.as_peer(|| upload((THROUGH_SLIRP, DISCARD))),
        )?,
    ];
    guest.end()?;
    drop(slirp);
    Ok(rows)
}

/// slirp4netns between the peer's network and this one, with packets as large as it allows. It is killed when dropped.
struct Slirp(Child);

impl Slirp {
    fn start(world: &World) -> Result<Self, Failure> {
        // Alone it would outlive this process, and the networks with it.
        let started = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "slirp4netns"])
            .args(["--configure", "--mtu=65520", "--netns-type=path"])
            .args([&world.peer_path(), "slirp0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let slirp = Self(started.map_err(|error| format!("setpriv: {error}"))?);
        world
            .as_peer(|| wait_for(THROUGH_SLIRP, DISCARD))
            .map_err(|error| format!("{error}; does slirp4netns run? `scripts/ci setup` installs it"))?;
        Ok(slirp)
    }
}

impl Drop for Slirp {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
