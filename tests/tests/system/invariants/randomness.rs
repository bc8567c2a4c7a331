//! Where things lie is new at every boot, for each thing independently, and no guest tells.
//!
//! `scripts/boots` runs these tests with 1,000 machines and shows the numbers. Every limit is so far out that a fair generator
//! meets it once in a million runs, or less often.

use std::collections::HashSet;
use std::io::Write as _;

use loader::layout::units::{UNIT_COUNT, UNIT_NAMES, entropy_millibits, units};
use loader::layout::{Plan, RegionKind};
use tests::{App, Backend, TestMachine, on_backend, on_each_backend};

on_each_backend!(bases_never_repeat_and_every_bit_of_them_is_fair);
on_backend!(kvm_alone, Kvm, bases_are_what_the_cpu_is_told, no_guest_prints_an_address_of_its_machine);

/// Bits of a base that the promise is about: its lowest above the page offset.
const PROMISED_BITS: u32 = 28;
/// All bits of a base above the page offset.
const BITS: u32 = 35;
/// Standard deviations from the expected count of ones. Of the 20,000 or so counts here, one lies beyond in a million runs.
const FAR: f64 = 7.0;

/// Machines to look at.
fn machines() -> usize {
    std::env::var("RINGWALL_BOOTS").map_or(200, |number| number.parse().expect("RINGWALL_BOOTS is a number"))
}

fn plans(backend: Backend) -> Vec<Plan> {
    let image = App::Hello.parsed();
    let plan = || match backend {
        Backend::Kvm => TestMachine::with_disks(&image, &[], Vec::new()).machine.plan.clone(),
        Backend::Process => TestMachine::plan_of_process(&image),
    };
    (0..machines()).map(|_| plan()).collect()
}

fn bases_never_repeat_and_every_bit_of_them_is_fair(backend: Backend) {
    let plans = plans(backend);
    let pages: Vec<[u64; UNIT_COUNT]> =
        plans.iter().map(|plan| units(plan).map(|unit| unit.base >> 12)).collect();
    let mut table = format!("{} machines, {}\n", pages.len(), backend.name());
    for unit in 0..UNIT_COUNT {
        let own: Vec<u64> = pages.iter().map(|pages| pages[unit]).collect();
        let bits = plans.iter().map(|plan| entropy_millibits(&units(plan), unit)).min().unwrap();
        assert!(bits >= PROMISED_BITS * 1000, "{}: {bits} millibits", UNIT_NAMES[unit]);
        // Two of n equal: n^2 / 2^36, one in 70,000 runs for 1,000 machines. With 28 bits it would be one in 540.
        let repeats = own.len() - own.iter().collect::<HashSet<_>>().len();
        assert_eq!(repeats, 0, "{}", UNIT_NAMES[unit]);
        let mut farthest = bias(&own);
        // Neither from boot to boot nor from unit to unit does one tell anything about another.
        farthest = farthest.max(bias(&own.windows(2).map(|pair| pair[0] ^ pair[1]).collect::<Vec<_>>()));
        for other in 0..unit {
            farthest =
                farthest.max(bias(&pages.iter().map(|pages| pages[unit] ^ pages[other]).collect::<Vec<_>>()));
        }
        assert!(farthest < FAR, "{}: a bit is {farthest} standard deviations off", UNIT_NAMES[unit]);
        table += &format!(
            "  {:<12} {:>6.3} bits, {repeats} repeats, farthest bit {farthest:.1} standard deviations off\n",
            UNIT_NAMES[unit],
            f64::from(bits) / 1e3
        );
    }
    let _ = std::io::stdout().write_all(table.as_bytes());
}

/// How far the most unfair bit is off, in standard deviations of a fair one.
fn bias(values: &[u64]) -> f64 {
    let count = f64::from(u32::try_from(values.len()).unwrap());
    let ones = (0..BITS).map(|bit| values.iter().filter(|&value| value & 1 << bit != 0).count());
    let off =
        ones.map(|ones| (f64::from(u32::try_from(ones).unwrap()) - count / 2.0).abs() / (count.sqrt() / 2.0));
    off.fold(0.0, f64::max)
}

fn bases_are_what_the_cpu_is_told(_: Backend) {
    for _ in 0..20 {
        let machine = TestMachine::new(App::Hello, &[]);
        let mapped = machine.page_tables();
        for unit in units(&machine.machine.plan) {
            assert!(mapped.leaf_of(unit.base).is_some_and(|leaf| leaf.gva == unit.base), "{unit:x?}");
        }
    }
}

/// What guests print: ordinary output, and the last words of those that break in every way.
const GUESTS: [(App, &str); 15] = [
    (App::Hello, "an argument"),
    (App::Crash, "help"),
    (App::Crash, "syscalls"),
    (App::Crash, "panic"),
    (App::Crash, "oom"),
    (App::Crash, "null"),
    (App::Crash, "locals"),
    (App::Crash, "stack"),
    (App::Crash, "jump-data"),
    (App::Crash, "write-text"),
    (App::Crash, "ud2"),
    (App::Crash, "div0"),
    (App::Crash, "out"),
    (App::Crash, "vmmcall"),
    (App::Crash, "bad-exit"),
];

fn no_guest_prints_an_address_of_its_machine(_: Backend) {
    let images = GUESTS.map(|(app, _)| app.parsed());
    for ((_, argument), image) in GUESTS.iter().zip(&images).cycle().take(machines().max(GUESTS.len())) {
        let mut machine = TestMachine::with_disks(image, &[argument], Vec::new());
        assert!(machine.run().end().is_some());
        let output = machine.output_bytes();
        assert!(!output.is_empty(), "{argument:?} prints something");
        let plan = &machine.machine.plan;
        let found = addresses(&output, plan);
        assert!(found.is_empty(), "{found:x?} in {:?}", String::from_utf8_lossy(&output));
        // A guest that did would be found out.
        let inside = plan.region(RegionKind::Heap).gva.0 + 0x1234;
        for told in [format!("at {inside:#x}."), format!("({inside})"), format!("{inside:016X}\n")] {
            assert_eq!(addresses(told.as_bytes(), plan), [inside], "{told}");
        }
        assert_eq!(addresses(&[&[7], &inside.to_be_bytes()[..]].concat(), plan), [inside]);
        assert_eq!(addresses(&[&inside.to_le_bytes()[..], &[7]].concat(), plan), [inside]);
    }
}

/// Values in an output that are addresses of the machine: as hexadecimal or decimal numbers, or as the eight bytes themselves in
/// either order.
fn addresses(output: &[u8], plan: &Plan) -> Vec<u64> {
    let words = output.windows(8).map(|bytes| <[u8; 8]>::try_from(bytes).unwrap());
    let raw = words.flat_map(|bytes| [u64::from_le_bytes(bytes), u64::from_be_bytes(bytes)]);
    let text = String::from_utf8_lossy(output);
    let numbers = |radix: u32| -> Vec<u64> {
        let runs = text.split(|character: char| !character.is_digit(radix));
        runs.filter_map(|run| u64::from_str_radix(run, radix).ok()).collect()
    };
    let mut found: Vec<u64> = raw.chain(numbers(16)).chain(numbers(10)).collect();
    found.retain(|&value| plan.regions.iter().any(|region| (region.gva.0..region.end().0).contains(&value)));
    found.dedup();
    found
}
