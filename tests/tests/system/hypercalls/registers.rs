//! What a guest sees in its registers.

use tests::{App, Backend, Ringwall, on_each_backend};

on_each_backend!(no_call_changes_a_register_that_it_may_not, floating_point_starts_masked_and_exact);

fn no_call_changes_a_register_that_it_may_not(backend: Backend) {
    let run = Ringwall::run_app(backend, App::Probe).guest(&["registers"]).run().expect(0);
    assert_eq!(run.stdout, "text\ntext\n0 changed\n");
}

fn floating_point_starts_masked_and_exact(backend: Backend) {
    let run = Ringwall::run_app(backend, App::Probe).guest(&["entry"]).run().expect(0);
    assert_eq!(run.stdout, "mxcsr 0x1f80, x87 control word 0x37f\n");
}
