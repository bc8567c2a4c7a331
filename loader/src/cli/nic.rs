//! NICs: where their frames go, and what is let through.

use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd, RawFd};

use hvcall::boot::Offloads;
use loader::device_spec::{NetKind, NetSpec};
use loader::net::frames::{FramePolicy, Relay};
use loader::net::rules::{Accept, Allow, ForNic, Publish};
use loader::net::tap::Tap;
use loader::net::user;
use loader::parent::{Helper, NicConfig};

use super::error::CommandError;

/// What the command line says about what may pass NICs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NicRules<'a> {
    pub(crate) publish: &'a [ForNic<Publish>],
    pub(crate) allow: &'a [ForNic<Allow>],
    pub(crate) accept: &'a [ForNic<Accept>],
    /// Every tap and descriptor has a policy, even one without rules.
    pub(crate) deny_all: bool,
    /// Relays say how many frames they dropped.
    pub(crate) verbose: bool,
}

/// Opens NICs, each with its rules.
pub(crate) fn open(
    appliance: &str,
    nets: &[(&str, &NetSpec)],
    rules: &NicRules<'_>,
) -> Result<Vec<NicConfig>, CommandError> {
    check_names("--publish", nets, rules.publish)?;
    check_names("--allow", nets, rules.allow)?;
    check_names("--accept", nets, rules.accept)?;
    nets.iter()
        .map(|(name, net)| {
            let is_user = net.kind == NetKind::User;
            let publish = of_nic(nets, name, rules.publish);
            let allow = of_nic(nets, name, rules.allow);
            let accept = of_nic(nets, name, rules.accept);
            if !is_user && !publish.is_empty() {
                return usage("--publish is for the `user` network; a tap or descriptor takes --accept");
            }
            if is_user && !accept.is_empty() {
                return usage("--accept is for a tap or descriptor; the `user` network takes --publish");
            }
            match &net.kind {
                NetKind::User => open_user(appliance, &publish, &allow),
                NetKind::Tap { interface } => {
                    let tap = Tap::open(interface, net.offload.unwrap_or(true))?;
                    let config = NicConfig {
                        info: net.nic_info(appliance, name, tap.mtu, tap.offloads()),
                        fd: tap.fd,
                        vnet_header: tap.vnet_header,
                        helper: None,
                    };
                    guarded(config, appliance, (name, net), (&allow, &accept), rules)
                }
                NetKind::Fd { fd } => {
                    let config = NicConfig {
                        info: net.nic_info(appliance, name, 1500, Offloads::empty()),
                        fd: inherited(*fd)?,
                        vnet_header: false,
                        helper: None,
                    };
                    guarded(config, appliance, (name, net), (&allow, &accept), rules)
                }
            }
        })
        .collect()
}

fn usage<T>(text: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError::Usage(text.into()))
}

/// The NIC that a rule without a name is for: the only one, or the only one with the `user` network.
fn default_nic<'a>(nets: &[(&'a str, &NetSpec)]) -> Option<&'a str> {
    let users = || nets.iter().filter(|(_, net)| net.kind == NetKind::User);
    match nets {
        [(name, _)] => Some(name),
        _ if users().count() == 1 => users().next().map(|(name, _)| *name),
        _ => None,
    }
}

fn check_names<T>(option: &str, nets: &[(&str, &NetSpec)], given: &[ForNic<T>]) -> Result<(), CommandError> {
    let names = || nets.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    for rule in given {
        match &rule.nic {
            _ if nets.is_empty() => return usage(format!("{option}: the appliance has no NIC")),
            Some(nic) if !nets.iter().any(|(name, _)| name == nic) => {
                return usage(format!("{option}: there is no NIC `{nic}`; there is: {}", names()));
            }
            None if default_nic(nets).is_none() => {
                return usage(format!("{option}: write for which NIC, as NAME=RULE: {}", names()));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn of_nic<T: Clone>(nets: &[(&str, &NetSpec)], name: &str, given: &[ForNic<T>]) -> Vec<T> {
    let is_for = |rule: &&ForNic<T>| rule.nic.as_deref().or_else(|| default_nic(nets)) == Some(name);
    given.iter().filter(is_for).map(|rule| rule.rule.clone()).collect()
}

fn open_user(appliance: &str, publish: &[Publish], allow: &[Allow]) -> Result<NicConfig, CommandError> {
    let prepared = user::prepare(publish, allow)?;
    for (publish, bound) in prepared.published() {
        loader::say!(
            "ringwall: {appliance}: {bound} ({}) leads to port {} of the appliance",
            publish.protocol,
            publish.guest_port
        );
    }
    let (guest_end, helper_end) = user::frame_pair().map_err(CommandError::SocketPair)?;
    let info = prepared.nic_info();
    Ok(NicConfig {
        fd: guest_end,
        info,
        vnet_header: true,
        helper: Some((Helper::User(prepared), helper_end)),
    })
}

/// Puts a relay before a NIC that has a policy.
fn guarded(
    config: NicConfig,
    appliance: &str,
    (name, net): (&str, &NetSpec),
    (allow, accept): (&[Allow], &[Accept]),
    rules: &NicRules<'_>,
) -> Result<NicConfig, CommandError> {
    let has_rules = rules.deny_all || !allow.is_empty() || !accept.is_empty();
    if !has_rules && !net.pinned {
        return Ok(config);
    }
    let policy = FramePolicy::new(&config.info, allow, accept, !has_rules)?;
    let (guest_end, relay_end) = user::frame_pair().map_err(CommandError::SocketPair)?;
    let name = format!("{appliance}: {name}");
    let NicConfig { fd: outside, info, vnet_header, .. } = config;
    let relay = Relay { policy, outside, vnet_header, name, verbose: rules.verbose };
    let helper = Some((Helper::Relay(Box::new(relay)), relay_end));
    Ok(NicConfig { fd: guest_end, info, vnet_header, helper })
}

/// Takes over a descriptor that whoever started us has opened for us.
#[expect(unsafe_code, reason = "a descriptor named by number")]
fn inherited(fd: RawFd) -> Result<OwnedFd, CommandError> {
    let fail = |errno: rustix::io::Errno| {
        CommandError::Usage(format!("--net fd:{fd}: {}", std::io::Error::from(errno)))
    };
    // SAFETY: borrowed for one question only, which says whether the descriptor is open.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let flags = rustix::fs::fcntl_getfl(borrowed.as_fd()).map_err(fail)?;
    rustix::fs::fcntl_setfl(borrowed, flags | rustix::fs::OFlags::NONBLOCK).map_err(fail)?;
    // SAFETY: it is open, and by the option's contract it is ours: nothing else in this process uses that number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
