//! Where things lie is new at every boot, and for each thing independently.

use std::collections::HashSet;

use loader::layout::RegionKind;
use tests::{App, Backend, TestMachine, on_backend};

on_backend!(kvm, Kvm, bases_never_repeat_and_move_independently);

/// Machines looked at. That a fair bit has the same value in all of them has a chance of 2^-63.
const MACHINES: usize = 64;

/// What moves by itself: the image, and each other region.
const KINDS: [RegionKind; 7] = [
    RegionKind::BootInfo,
    RegionKind::Stubs,
    RegionKind::FaultStack,
    RegionKind::DoubleFaultStack,
    RegionKind::Descriptors,
    RegionKind::Stack,
    RegionKind::Heap,
];

fn bases_never_repeat_and_move_independently(_: Backend) {
    let bases: Vec<Vec<u64>> = (0..MACHINES)
        .map(|_| {
            let machine = TestMachine::new(App::Hello, &[]);
            let plan = &machine.machine.plan;
            let mapped = machine.page_tables();
            let bases = KINDS.map(|kind| plan.region(kind).gva.0);
            assert!(bases.iter().all(|&base| mapped.leaf_of(base).is_some_and(|leaf| leaf.gva == base)));
            [vec![plan.image_base.0], bases.to_vec()].concat()
        })
        .collect();
    for unit in 0..=KINDS.len() {
        let of_unit: Vec<u64> = bases.iter().map(|bases| bases[unit]).collect();
        assert_eq!(of_unit.iter().collect::<HashSet<_>>().len(), MACHINES, "unit {unit} repeats a base");
        assert!(moving_bits(&of_unit) >= 28, "unit {unit}");
        for other in 0..unit {
            let distances: Vec<u64> =
                bases.iter().map(|bases| bases[unit].wrapping_sub(bases[other])).collect();
            assert!(moving_bits(&distances) >= 28, "units {unit} and {other} move together");
        }
    }
}

/// Bits above the page offset that take both values.
fn moving_bits(values: &[u64]) -> u32 {
    let ones = values.iter().fold(0, |bits, value| bits | value);
    let zeros = values.iter().fold(0, |bits, value| bits | !value);
    (ones & zeros & 0x0000_7fff_ffff_f000).count_ones()
}
