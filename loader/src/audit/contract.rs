//! Checks of what the image promises the monitor: manifest, devices, gate.

use hvcall::gate::{GATE_BYTES, page};
use hvcall::manifest::DeviceKind;
use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::FileHeader as _;

use super::elf::{EXECUTE, Elf, WRITE};
use super::report::Report;
use crate::address::PAGE_BYTES;
use crate::image::Notes;

/// Manifest, devices and gate. Gives the gate's address, where the image names one.
pub(super) fn check_contract(report: &mut Report, elf: &Elf<'_>) -> Option<u64> {
    let header = FileHeader64::<LittleEndian>::parse(elf.bytes);
    let headers = header.and_then(|header| header.program_headers(LittleEndian, elf.bytes));
    let notes = headers
        .map_err(Into::into)
        .and_then(|headers| Notes::find(headers.get(..64).unwrap_or(headers), elf.bytes));
    let gate = notes.as_ref().ok().map(|notes| notes.gate);
    let manifest = notes.map_err(|error| error.to_string()).and_then(|notes| match notes.manifest.check() {
        Ok(()) => Ok(notes.manifest),
        Err(error) => Err(error.to_string()),
    });
    let (described, devices) = match &manifest {
        Ok(manifest) => {
            report.appliance = Some(format!("{} {}", manifest.name(), manifest.version()));
            report.build_seed = Some(manifest.build_seed);
            let described = format!(
                "{} {}, ABI {}, {} KiB of memory, {} KiB of stack",
                manifest.name(),
                manifest.version(),
                manifest.abi,
                manifest.memory_bytes / 1024,
                manifest.stack_bytes / 1024
            );
            let list = [DeviceKind::Nic, DeviceKind::Disk].into_iter().flat_map(|kind| {
                manifest.devices_of(kind).map(move |device| format!("{kind} `{}`", device.name()))
            });
            let list: Vec<String> = list.collect();
            (
                described,
                if list.is_empty() { "none, so it can be given none".to_owned() } else { list.join(", ") },
            )
        }
        Err(error) => (error.clone(), "not known without a sane manifest".to_owned()),
    };
    let sane = manifest.is_ok();
    report.check("manifest", sane, described, "it is how the monitor knows what to give and what to refuse");
    report.check(
        "devices",
        sane,
        devices,
        "a device that is not declared cannot be given, one that is must be",
    );
    let (passed, evidence) = gate_content(elf, gate);
    report.check(
        "gate",
        passed,
        evidence,
        "the monitor replaces this page, and takes calls from this address alone",
    );
    gate
}

fn gate_content(elf: &Elf<'_>, gate: Option<u64>) -> (bool, String) {
    let Some(gate) = gate else { return (false, "no note says where it is".to_owned()) };
    let Some(segment) = elf.loads().find(|load| load.holds(gate)) else {
        return (false, format!("{gate:#x} is outside every segment"));
    };
    if !segment.is(EXECUTE) || segment.is(WRITE) {
        return (false, format!("{gate:#x} is in a {} segment", segment.rights()));
    }
    if !gate.is_multiple_of(PAGE_BYTES) {
        return (false, format!("{gate:#x} is not the start of a page"));
    }
    let content = elf.at(gate);
    let expected = page();
    if content.len() < GATE_BYTES {
        return (
            false,
            format!("only {} of {GATE_BYTES} bytes of the page at {gate:#x} are in the file", content.len()),
        );
    }
    let different =
        content.iter().zip(&expected).enumerate().find(|(_, (found, expected))| found != expected);
    match different {
        Some((at, (found, expected))) => {
            (false, format!("byte {at} of the page at {gate:#x} is {found:#04x}, not {expected:#04x}"))
        }
        None => (true, format!("{gate:#x}: `vmcall; ret` and padding, to the last byte of the page")),
    }
}
