//! The smallest appliance, from a person's point of view.

use tests::{App, Backend, Ringwall, on_backend, on_each_backend, processes_in_group};

on_each_backend!(
    prints_its_lines_and_arguments_and_ends_with_zero,
    an_image_file_runs_from_anywhere,
    boots_leave_no_process_behind,
    verbose_names_backend_gate_and_memory,
);
on_backend!(kvm_alone, Kvm, a_gate_that_this_host_lacks_is_refused, the_port_gate_works_on_every_kvm);

fn prints_its_lines_and_arguments_and_ends_with_zero(backend: Backend) {
    let run = Ringwall::run_app(backend, App::Hello).guest(&["one", "", "drei \u{e4}"]).run().expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], "Hello from ring 3!");
    assert_eq!(lines[1], "hypercall ABI version 1");
    assert_eq!(lines[3..], ["argument 0: one", "argument 1: ", "argument 2: drei \u{e4}"]);
    assert_eq!(run.stderr, "");
}

fn an_image_file_runs_from_anywhere(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("renamed");
    std::fs::copy(App::Hello.image(), &copy).unwrap();
    let run = Ringwall::new().args(["run"]).image(backend, &copy).run().expect(0);
    assert!(run.stdout.starts_with("Hello from ring 3!\n"));
}

fn boots_leave_no_process_behind(backend: Backend) {
    for _ in 0..20 {
        let running = Ringwall::run_app(backend, App::Hello).start();
        let group = running.pid();
        let _ = running.wait().expect(0);
        assert_eq!(processes_in_group(group), []);
    }
}

fn verbose_names_backend_gate_and_memory(backend: Backend) {
    let run = Ringwall::run_app(backend, App::Hello).args(["--verbose", "--mem", "2M"]).run().expect(0);
    let expected = format!("2048 KiB of memory, backend {}, gate {}\n", backend.name(), backend.gate().name);
    assert!(run.stderr.ends_with(&expected), "{}", run.stderr);
}

fn a_gate_that_this_host_lacks_is_refused(backend: Backend) {
    for name in ["vmcall", "vmmcall"] {
        let run = Ringwall::run_app(backend, App::Hello).args(["--gate", name]).run();
        if name == backend.gate().name {
            let _ = run.expect(0);
        } else {
            run.expect(69).says_once(&format!("it offers `{}`", backend.gate().name));
        }
    }
}

/// Where the hypercall is the better gate, the port is there still, with the same checks.
fn the_port_gate_works_on_every_kvm(backend: Backend) {
    if std::env::var_os("RINGWALL_LAB").is_some_and(|lab| lab == "amd") {
        tests::skip("QEMU's emulated I/O bitmap wants a TSS that is not busy, the processor one that is");
        return;
    }
    let run = |app, arguments: &[&str]| {
        Ringwall::run_app(backend, app).args(["--gate", "port"]).guest(arguments).run()
    };
    assert!(run(App::Hello, &[]).expect(0).stdout.starts_with("Hello from ring 3!\n"));
    assert_eq!(run(App::Probe, &["registers"]).expect(0).stdout, "text\ntext\n0 changed\n");
    assert!(run(App::Crash, &["null"]).expect(81).stderr.contains("vector 14"));
    assert!(run(App::Crash, &["out"]).expect(83).stderr.contains("a trap from outside the hypercall gate"));
}
