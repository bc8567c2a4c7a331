//! `--net NAME=user`: a network for everyone, without root and without set-up.
//!
//! A helper process ends the guest's Ethernet in a userspace TCP/IP stack and forwards through ordinary sockets. The monitor
//! passes frames along and never looks into one; the helper looks into all of them and holds nothing worth taking: no KVM,
//! no files, no capabilities, no other descriptors (see `sandbox`).
//!
//! ```text
//!  guest             monitor             helper process                             this machine
//! ┌──────┐ net_send ┌──────┐ SEQPACKET ┌─────────────────────────────────────────┐
//! │ TCP  ├─────────►│ NIC  ├──────────►│ link ─ packet ─┬─ connections ── stack  ├── published ports, 127.0.0.1
//! │ UDP  │ net_recv │      │ 1 message │                ├─ flows (UDP)           │   unless told otherwise
//! │      │◄─────────┤      │◄──────────┤                └─ answer: ARP, NDP, echo├── what `policy` allows: nothing
//! └──────┘          └──────┘ = 1 frame └─────────────────────────────────────────┘   unless told otherwise
//!  10.0.2.15                             gateway 10.0.2.2, resolver 10.0.2.3
//! ```
//!
//! **In.** A connection to a published port becomes a connection from the gateway's address to the guest's port. A port
//! that the guest does not listen on resets the caller; only in a guest's first two seconds it is tried again. The guest is
//! always called over IPv4, whatever the caller used.
//!
//! **Out.** A SYN to anything that no `--allow` rule opens is answered with RST, a datagram with "prohibited". The gateway's
//! address stands for this machine's loopback, and only a rule that names loopback opens it. Under `--allow dns` the
//! resolver's address leads to the first name server of this machine, over UDP and TCP.
//!
//! **Bounds.** 4,096 connections of 128 KiB, but up to 128 of them of 2 MiB, and 1,024 UDP conversations, fewer if the process may have
//! fewer descriptors. What a slow side does not take stays with the other side's sender. No fragments.
//!
//! The modules, from the wire to the host: `link` (frame socket), `packet` (what a frame
//! says), `answer` (packets made here), `stack` (smoltcp), `relay`, `connection` and `connections` (TCP), `flows` (UDP), `policy`
//! (what is allowed), `agenda` (work queue and timers), `helper` (event loop), `prepare` and `sandbox` (before the first frame).

mod addresses;
mod agenda;
mod answer;
mod connection;
mod connections;
mod error;
mod flows;
mod helper;
mod link;
mod packet;
mod policy;
mod prepare;
mod probe;
mod relay;
mod sandbox;
mod stack;
#[cfg(test)]
mod tests;

use core::hash::{BuildHasher, Hasher};
use core::net::SocketAddr;
use std::hash::RandomState;
use std::io;
use std::os::fd::OwnedFd;

use hvcall::ExitCode;
use hvcall::boot::NicInfo;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};

pub use self::addresses::UserNet;
pub use self::error::UserNetError;
use self::helper::Helper;
use self::policy::Policy;
use self::prepare::Published;
pub use self::probe::FrameProbe;
use self::sandbox::{Needs, SandboxError};
use super::rules::{Allow, Publish};
use crate::exit;

/// A `user` network that is ready to run: ports bound, names resolved, the resolver known.
///
/// The parent must drop its copy after the fork, or the ports stay bound for as long as it lives.
#[derive(Debug)]
pub struct Prepared {
    published: Vec<Published>,
    policy: Policy,
}

/// Opens everything that the helper will need, in the process that can still tell a person about errors.
///
/// Names in `allow` are resolved here, by this machine's resolver, and stay what they are for as long as the helper runs.
///
/// # Errors
/// A port that cannot be bound, a name that cannot be resolved, DNS allowed on a machine without a resolver.
pub fn prepare(publish: &[Publish], allow: &[Allow]) -> Result<Prepared, UserNetError> {
    let policy = Policy::new(allow, prepare::host_resolver)?;
    let published = publish.iter().map(Published::open).collect::<Result<_, _>>()?;
    Ok(Prepared { published, policy })
}

/// Bytes of frames that may wait for either end to read them, as far as the system lets an unprivileged process ask.
const FRAMES_WAITING_BYTES: usize = 1 << 20;

/// The two ends of a link, alike: one for the monitor, one for [`Prepared::run`]. Non-blocking, closed by exec.
///
/// # Errors
/// The system's, if it has no descriptors or memory left.
pub fn frame_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for end in [&pair.0, &pair.1] {
        sockopt::set_socket_send_buffer_size(end, FRAMES_WAITING_BYTES)?;
    }
    Ok(pair)
}

impl Prepared {
    /// Each published port with the address that was bound for it, whose port is not 0.
    pub fn published(&self) -> impl Iterator<Item = (Publish, SocketAddr)> {
        self.published.iter().map(|published| (published.publish, published.bound))
    }

    /// The NIC as boot information describes it: without a resolver if DNS is not allowed, so that a guest that asks names
    /// fails at once instead of waiting for an answer.
    #[must_use]
    pub fn nic_info(&self) -> NicInfo {
        let mut nic = UserNet::nic_info();
        if !self.policy.allows_dns() {
            nic.ipv4.dns = Default::default();
            nic.ipv6.dns = Default::default();
        }
        nic
    }

    /// Becomes the helper: shuts itself in and serves the guest behind `frames`, one end of a [`frame_pair`]. To be called in
    /// a freshly forked process of one thread; it dies with the thread that forked it.
    ///
    /// Ends the process: with 0 when the other end of `frames` is closed, with 71 after a line on standard error if the
    /// sandbox could not be set up.
    pub fn run(self, frames: OwnedFd) -> ! {
        let status = match self.serve(frames) {
            Ok(()) => ExitCode(0),
            Err(error) => {
                crate::say!("ringwall: user network: {error}");
                ExitCode::HOST_ERROR
            }
        };
        exit::at_once(status)
    }

    fn serve(self, frames: OwnedFd) -> Result<(), HelperError> {
        let descriptors = usize::try_from(sandbox::raise_descriptor_limit()).unwrap_or(usize::MAX);
        let seed = RandomState::new().build_hasher().finish();
        let helper = Helper::new(frames, self.published, self.policy, descriptors, seed)
            .map_err(HelperError::Events)?;
        let mut tcp_ports: Vec<u16> = helper.policy().tcp_ports().collect();
        tcp_ports.sort_unstable();
        tcp_ports.dedup();
        let needs = Needs {
            keep: &helper.descriptors(),
            outbound: !helper.policy().is_closed(),
            tcp_ports: &tcp_ports,
        };
        sandbox::enter(&needs)?;
        helper.run().map_err(HelperError::Events)
    }
}

/// The system-call filter of a helper, one that makes connections outwards or one that does not.
///
/// # Errors
/// Those of the filter's compiler.
pub fn filter(outbound: bool) -> Result<seccompiler::BpfProgram, seccompiler::BackendError> {
    sandbox::filter(outbound)
}

/// Why a helper ended.
#[derive(Debug, thiserror::Error)]
enum HelperError {
    #[error("the event queue failed: {0}")]
    Events(#[source] rustix::io::Errno),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
