//! From the manifest and the command line to open devices.

use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd, RawFd};

use hvcall::Manifest;
use hvcall::manifest::DeviceKind;
use loader::device_spec::{self, DiskSpec, NetKind, NetSpec};
use loader::net::rules::{Allow, Publish};
use loader::net::tap::Tap;
use loader::net::user;
use loader::parent::{DiskConfig, NicConfig};

use super::error::CommandError;

/// What the command line says about devices.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) nets: &'a [NetSpec],
    pub(crate) publish: &'a [Publish],
    pub(crate) allow: &'a [Allow],
    pub(crate) disks: &'a [DiskSpec],
}

/// Opens every device that the manifest lists, as the command line says.
pub(crate) fn open(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
) -> Result<(Vec<NicConfig>, Vec<DiskConfig>), CommandError> {
    let user = "user".parse::<NetSpec>().map_err(|error| CommandError::Usage(error.to_string()))?;
    // One NIC and no word about it: the network that needs no set-up.
    let nets = match (wanted.nets, manifest.devices_of(DeviceKind::Nic).count()) {
        ([], 1) => std::slice::from_ref(&user),
        (nets, _) => nets,
    };
    let nets = assign(manifest, DeviceKind::Nic, nets, |net| net.name.as_deref())?;
    let disks = assign(manifest, DeviceKind::Disk, wanted.disks, |disk| disk.name.as_deref())?;
    check_rules(&nets, wanted)?;
    let nics = nets
        .iter()
        .map(|(name, net)| open_nic(manifest.name(), name, net, wanted))
        .collect::<Result<Vec<_>, _>>()?;
    let disks = disks
        .iter()
        .map(|(_, disk)| {
            let opened = device_spec::open(disk)?;
            Ok(DiskConfig { file: opened.file, info: opened.info })
        })
        .collect::<Result<Vec<_>, CommandError>>()?;
    Ok((nics, disks))
}

/// Pairs the manifest's devices of one kind with what was given, both ways complete.
fn assign<'a, T>(
    manifest: &'a Manifest,
    kind: DeviceKind,
    given: &'a [T],
    name_of: impl Fn(&T) -> Option<&str>,
) -> Result<Vec<(&'a str, &'a T)>, CommandError> {
    let names: Vec<&str> = manifest.devices_of(kind).map(|device| device.name()).collect();
    let appliance = manifest.name();
    let (option, example) = match kind {
        DeviceKind::Nic => ("--net", "user"),
        DeviceKind::Disk => ("--block", "disk.img"),
    };
    let usage = |text: String| Err(CommandError::Usage(text));
    let mut pairs: Vec<Option<&T>> = vec![None; names.len()];
    for item in given {
        let at = match (name_of(item), names.as_slice()) {
            (_, []) => return usage(format!("{option}: {appliance} has no {kind}")),
            (None, [_]) => 0,
            (None, _) => {
                return usage(format!(
                    "{option}: {appliance} has several of them, say which: {}",
                    names.join(", ")
                ));
            }
            (Some(name), _) => match names.iter().position(|known| *known == name) {
                Some(at) => at,
                None => {
                    let known = names.join(", ");
                    return usage(format!("{option}: {appliance} has no {kind} `{name}`; it has: {known}"));
                }
            },
        };
        if pairs[at].replace(item).is_some() {
            return usage(format!("{option}: {kind} `{}` is given twice", names[at]));
        }
    }
    let mut complete = Vec::with_capacity(names.len());
    for (name, item) in names.iter().zip(pairs) {
        let Some(item) = item else {
            return usage(format!(
                "{appliance} needs {kind} `{name}`: give it with {option} {name}={example}"
            ));
        };
        complete.push((*name, item));
    }
    Ok(complete)
}

/// Rules for the userspace network need one, and can mean only one.
fn check_rules(nets: &[(&str, &NetSpec)], wanted: &Wanted<'_>) -> Result<(), CommandError> {
    let users = nets.iter().filter(|(_, net)| net.kind == NetKind::User).count();
    if users != 1 && !(wanted.publish.is_empty() && wanted.allow.is_empty()) {
        return Err(CommandError::Usage(format!(
            "--publish and --allow are for exactly one NIC with the `user` network; there are {users}"
        )));
    }
    Ok(())
}

fn open_nic(
    appliance: &str,
    name: &str,
    net: &NetSpec,
    wanted: &Wanted<'_>,
) -> Result<NicConfig, CommandError> {
    match &net.kind {
        NetKind::Tap { interface } => {
            let tap = Tap::open(interface, net.offload.unwrap_or(true))?;
            let info = net.nic_info(appliance, name, tap.mtu, tap.offloads());
            Ok(NicConfig { fd: tap.fd, info, vnet_header: tap.vnet_header, helper: None })
        }
        NetKind::Fd { fd } => {
            let info = net.nic_info(appliance, name, 1500, hvcall::boot::Offloads::empty());
            Ok(NicConfig { fd: inherited(*fd)?, info, vnet_header: false, helper: None })
        }
        NetKind::User => {
            let prepared = user::prepare(wanted.publish, wanted.allow)?;
            for (publish, bound) in prepared.published() {
                loader::say!(
                    "ringwall: {appliance}: {bound} ({}) leads to port {} of the appliance",
                    publish.protocol,
                    publish.guest_port
                );
            }
            let (guest_end, helper_end) = user::frame_pair().map_err(CommandError::SocketPair)?;
            let info = prepared.nic_info();
            Ok(NicConfig { fd: guest_end, info, vnet_header: false, helper: Some((prepared, helper_end)) })
        }
    }
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
