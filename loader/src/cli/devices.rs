//! From the manifest and the command line to open devices.

use hvcall::Manifest;
use hvcall::manifest::DeviceKind;
use loader::device_spec::{self, DiskSpec, NetSpec};
use loader::parent::{DiskConfig, NicConfig};

use super::error::CommandError;
use super::nic::{self, NicRules};

/// What the command line says about devices.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) nets: &'a [NetSpec],
    pub(crate) rules: NicRules<'a>,
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
    let nics = nic::open(manifest.name(), &nets, &wanted.rules)?;
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
