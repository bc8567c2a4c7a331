use std::path::Path;

use super::engine::{minimize, replay};
use super::model::Violation;
use super::rng::Rng;
use super::target::{TARGETS, open};
use super::world::Depth;

/// Inputs per target: all of them together take a second or two.
const INPUTS: u64 = 2000;

#[test]
fn inputs_that_once_showed_a_defect_show_none() {
    for (name, _) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/regressions").join(name);
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let result = replay::run(name, &std::fs::read(&path).unwrap(), || {}).unwrap();
            assert_eq!(result, Ok(()), "{}", path.display());
        }
    }
}

#[test]
fn generated_and_mutated_inputs_show_no_defect_in_any_target() {
    for (name, _) in TARGETS {
        let mut target = open(name).unwrap();
        let mut rng = Rng::new(1);
        let mut last = Vec::new();
        for number in 0..INPUTS {
            let mut input = last.clone();
            if number % 3 == 0 {
                input.clear();
                target.generate(&mut rng, &mut input);
            } else {
                target.mutate(&mut rng, &mut input, &last);
            }
            let depth = if number % 100 == 0 { Depth::Everything } else { Depth::Changed };
            assert_eq!(target.run(&input, depth), Ok(()), "{name}: {input:02x?}");
            last = input;
        }
    }
}

#[test]
fn any_bytes_are_a_program_that_runs() {
    let mut target = open("hypercall").unwrap();
    let mut rng = Rng::new(2);
    for _ in 0..500 {
        let len = rng.below(200);
        let input: Vec<u8> = (0..len).map(|_| rng.byte()).collect();
        assert_eq!(target.run(&input, Depth::Changed), Ok(()), "{input:02x?}");
    }
}

#[test]
fn a_request_that_random_bytes_made_and_its_own_data_wrote_over_is_not_taken_for_another() {
    // Fills the first ten bytes of a request with random ones and submits it, in one batch. About one time in 128 they name a sector
    // there is; then its data may lie where the request was.
    const PROGRAM: &[u8] = &[
        5, 5, 1, 1, 253, 0, 5, 6, 1, 0, 0, 80, 15, 4, 5, 1, 3, 35, 0, 253, 248, 7, 0, 32, 1, 6, 1, 0, 62, 0,
        116, 6, 9, 198, 206, 228, 22, 0, 0, 0, 168, 0, 2, 0, 163, 0, 6, 0, 1, 6, 5, 0, 1, 253, 0, 8, 0,
    ];
    let mut target = open("hypercall").unwrap();
    for time in 0..8000 {
        assert_eq!(target.run(PROGRAM, Depth::Changed), Ok(()), "time {time}");
    }
}

#[test]
fn an_input_shrinks_to_what_shows_the_violation() {
    let input: Vec<u8> = (0..=255).collect();
    let small = minimize::minimize("device", input, |candidate| candidate.contains(&77)).unwrap();
    assert_eq!(small, [77]);
}

#[test]
fn seeds_of_every_target_are_right_ones() {
    let mut target = open("image").unwrap();
    let mut rng = Rng::new(3);
    let accepted = (0..200).filter(|_| {
        let mut input = Vec::new();
        target.generate(&mut rng, &mut input);
        let run: Result<(), Violation> = target.run(&input, Depth::Changed);
        run.unwrap();
        target.features()[0] >= 0x100 && target.features()[0] < 0x110
    });
    assert!(accepted.count() > 20, "the sample image is one that the loader accepts");
}
