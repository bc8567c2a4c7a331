//! Checks of the instructions.

use std::collections::BTreeMap;

use super::elf::Elf;
use super::hazard::{Hazard, name};
use super::names::Names;
use super::report::{Hidden, HostLook, Report};
use super::sweep::{Places, Sweep};
use crate::layout::plan::UNIT_DISTANCE_BYTES;

/// Most places that a line of evidence names.
const NAMED: usize = 5;

/// Modules that may read the time-stamp counter or identify the processor.
const TIME_AND_START: [&str; 3] = ["guest::arch::tsc", "guest::time", "guest::start"];

/// All checks of a swept program; each fails where there is no sweep.
pub(super) fn check_code(report: &mut Report, names: &Names<'_>, gate: Option<u64>, sweep: Option<&Sweep>) {
    const WHY: [(&str, &str); 5] = [
        (
            "instructions",
            "a program that means to execute one of these is no appliance, whatever the machine would do",
        ),
        ("trap-site", "with one way out there is one place to check"),
        ("decoding", "what cannot be decoded was not audited"),
        (
            "hidden-instructions",
            "the guest can jump into the middle of its own instructions, so the machine must have an answer to all of them",
        ),
        (
            "stack-clash",
            "a frame larger than the guard below the stack could reach past it without touching it",
        ),
    ];
    let results = match sweep {
        None => WHY.map(|_| (false, "not decoded: the machine is not x86".to_owned())),
        Some(sweep) if sweep.bytes == 0 => WHY.map(|_| (false, "there are no executable bytes".to_owned())),
        Some(sweep) => {
            report.instructions = sweep.instructions;
            report_sweep(report, names, sweep);
            [
                instructions(names, sweep),
                trap_site(names, gate, sweep),
                decoding(names, sweep),
                hidden(sweep),
                frames(names, sweep),
            ]
        }
    };
    for ((name, why), (passed, evidence)) in WHY.into_iter().zip(results) {
        report.check(name, passed, evidence, why);
    }
}

/// `hlt at 0x1234 in web::main, ...`.
fn listed(places: &Places, names: &Names<'_>) -> String {
    let named = places.first.iter().take(NAMED);
    let named = named
        .map(|&(address, mnemonic)| format!("{} at {address:#x}{}", name(mnemonic), names.within(address)));
    let mut list: Vec<String> = named.collect();
    let more = places.count.saturating_sub(list.len() as u64);
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    list.join(", ")
}

fn instructions(names: &Names<'_>, sweep: &Sweep) -> (bool, String) {
    let found: Vec<String> = sweep
        .hazards
        .iter()
        .filter(|(hazard, _)| **hazard != Hazard::Vmcall)
        .map(|(_, places)| listed(places, names))
        .collect();
    if !found.is_empty() {
        return (false, found.join("; "));
    }
    (true, format!("{} in {} bytes, none privileged, none a system call", sweep.instructions, sweep.bytes))
}

fn trap_site(names: &Names<'_>, gate: Option<u64>, sweep: &Sweep) -> (bool, String) {
    let none = Places::default();
    let calls = sweep.hazards.get(&Hazard::Vmcall).unwrap_or(&none);
    match (calls.count, calls.first.first(), gate) {
        (0, _, _) => (false, "no vmcall".to_owned()),
        (1, Some(&(address, _)), Some(gate)) if address == gate => {
            (true, format!("one vmcall, at {gate:#x}, in the gate"))
        }
        (1, _, _) => (false, format!("{}, which is not the gate", listed(calls, names))),
        (count, _, _) => (false, format!("{count} instructions: {}", listed(calls, names))),
    }
}

fn decoding(names: &Names<'_>, sweep: &Sweep) -> (bool, String) {
    if sweep.skipped > 0 {
        return (
            false,
            format!(
                "{} executable bytes were not looked at: segments repeat the file's bytes",
                sweep.skipped
            ),
        );
    }
    match sweep.undecodable.count {
        0 => (true, "every executable byte belongs to an instruction".to_owned()),
        count => {
            let first = sweep
                .undecodable
                .first
                .iter()
                .take(NAMED)
                .map(|&(address, _)| format!("{address:#x}{}", names.within(address)));
            (false, format!("{count} places are no instruction: {}", first.collect::<Vec<_>>().join(", ")))
        }
    }
}

fn hidden(sweep: &Sweep) -> (bool, String) {
    let count: u64 = sweep.hidden.values().sum();
    let unknown: Vec<Hazard> =
        sweep.hidden.keys().copied().filter(|hazard| hazard.fate().is_none()).collect();
    if unknown.is_empty() {
        return (
            true,
            format!(
                "{count}, and none that the machine has no answer to: a trap counts at the gate's address only"
            ),
        );
    }
    (false, format!("{count}, some of a kind of which nobody knows what it would do"))
}

fn frames(names: &Names<'_>, sweep: &Sweep) -> (bool, String) {
    let (largest, address) = sweep.largest_step;
    let guard = UNIT_DISTANCE_BYTES;
    if sweep.unbounded_steps.count > 0 {
        return (
            false,
            format!(
                "the stack pointer moves by a number without a bound: {}",
                listed(&sweep.unbounded_steps, names)
            ),
        );
    }
    let at = names.within(address);
    (
        largest <= guard,
        format!(
            "the largest step of the stack pointer is {largest} bytes{at}; {} MiB below the stack are unmapped",
            guard >> 20
        ),
    )
}

/// What is reported and not judged.
fn report_sweep(report: &mut Report, names: &Names<'_>, sweep: &Sweep) {
    let hidden: &BTreeMap<Hazard, u64> = &sweep.hidden;
    report.hidden = hidden.iter().map(|(&kind, &count)| Hidden { kind, count, fate: kind.fate() }).collect();
    report.host_look_count = sweep.host_looks.count;
    report.host_looks = sweep
        .host_looks
        .first
        .iter()
        .map(|&(address, mnemonic)| {
            let chain = names.chain(address);
            let expected = |(function, file): &(String, String)| {
                let path = file.strip_suffix(".rs").unwrap_or(file).replace("/src/", "::").replace('/', "::");
                TIME_AND_START.iter().any(|module| function.starts_with(module) || path.ends_with(module))
            };
            HostLook {
                instruction: name(mnemonic),
                address,
                function: chain.last().map(|(function, _)| function.clone()),
                expected: names.are_known().then(|| chain.iter().any(expected)),
            }
        })
        .collect();
}

/// No names and no other bytes that no machine loads.
pub(super) fn check_symbols(report: &mut Report, elf: &Elf<'_>) {
    let sections = elf.sections;
    let end =
        elf.headers.iter().map(|header| header.offset.saturating_add(header.file_bytes)).max().unwrap_or(0);
    let rest = (elf.bytes.len() as u64).saturating_sub(end);
    let (passed, evidence) = match (sections.symbols, sections.count, rest) {
        (0, 0, 0) => (true, "no section, no symbol, no byte behind the last segment".to_owned()),
        (0, 0, rest) => (false, format!("{rest} bytes behind the last segment")),
        (0, count, _) => (false, format!("{count} sections, without symbols")),
        (symbols, count, _) => (false, format!("{symbols} symbols in {count} sections")),
    };
    report.check(
        "symbols",
        passed,
        evidence,
        "names tell an attacker what is where; they belong into the side file",
    );
}
