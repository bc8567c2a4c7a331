//! The hostile guest in lockstep with the harness.

use loader::backend::choice;
use loader::backend::kvm::GateChoice;
use loader::fuzz::vm::{self, Mix, Session, Tally};
use tests::{App, Backend, on_each_backend};

on_each_backend!(programs_do_the_same_in_a_machine_and_in_the_harness);

/// Programs after which a test has seen enough.
const PROGRAMS: u64 = 600;

fn programs_do_the_same_in_a_machine_and_in_the_harness(backend: Backend) {
    let backend = match backend {
        Backend::Kvm => choice::Backend::Kvm,
        Backend::Process => choice::Backend::Process,
    };
    let image = App::Fuzzer.parsed();
    let session = Session {
        backend,
        gate: GateChoice::Auto,
        mix: Mix::Scenes,
        most_programs: Some(PROGRAMS),
        until: None,
        seed: 1,
    };
    let tally = vm::fuzz(&image, &session, &mut |_: &Tally| {}).unwrap();
    assert!(tally.programs >= PROGRAMS && tally.calls > tally.programs, "{tally:?}");
    assert!(tally.unsure < tally.programs / 20, "{tally:?}");
}
