//! Two network namespaces: this process's, with a tap for the guest, and one at the other end of a veth for its peers.
//!
//! Both go with the process, so there is nothing to clean up.
#![expect(unsafe_code, reason = "leaves this process's network")]

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::command::run;
use crate::Failure;

/// The tap's name, and the addresses on it.
pub(super) const TAP: &str = "tap0";
pub(super) const GUEST: &str = "10.77.0.2";
pub(super) const GUEST_MAC: &str = "02:00:00:00:00:77";
/// Where peers listen.
pub(super) const PEER: &str = "10.78.0.2";

/// The namespaces.
#[derive(Debug)]
pub(super) struct World {
    peer: File,
}

impl World {
    /// Makes them, for this thread and those that it starts from now on.
    pub(super) fn new() -> Result<Self, Failure> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root may make network namespaces".into());
        }
        let peer = apart(|| {
            own_network()?;
            run("ip link set lo up")?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        })?;
        own_network()?;
        let world = Self { peer };
        for line in [
            "ip link set lo up",
            "ip tuntap add dev tap0 mode tap",
            "ip link set tap0 txqueuelen 1000 up",
            "ip addr add 10.77.0.1/24 dev tap0",
            &format!("ip link add veth0 type veth peer name veth1 netns {}", world.peer_path()),
            "ip addr add 10.78.0.1/24 dev veth0",
            "ip link set veth0 up",
        ] {
            run(line)?;
        }
        world.as_peer(|| {
            run("ip addr add 10.78.0.2/24 dev veth1")?;
            run("ip link set veth1 up")
        })?;
        Ok(world)
    }

    /// The peer's network, for programs that are told of it by a path.
    pub(super) fn peer_path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.peer.as_raw_fd())
    }

    /// Acts in the peer's network. Threads and programs started there stay there.
    pub(super) fn as_peer<R: Send>(
        &self,
        act: impl FnOnce() -> Result<R, Failure> + Send,
    ) -> Result<R, Failure> {
        apart(|| {
            move_into_link_name_space(self.peer.as_fd(), Some(LinkNameSpaceType::Network))?;
            act()
        })
    }
}

/// Acts in a thread of its own.
fn apart<R: Send>(act: impl FnOnce() -> Result<R, Failure> + Send) -> Result<R, Failure> {
    // Errors need not be fit for other threads: their texts are.
    let outcome = std::thread::scope(|scope| scope.spawn(|| act().map_err(|error| error.to_string())).join());
    Ok(outcome.map_err(|_| "a thread of the benchmark panicked")??)
}

fn own_network() -> rustix::io::Result<()> {
    // SAFETY: only the thread's network changes. It is new, and no descriptor or memory of others depends on it.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}
