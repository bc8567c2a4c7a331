//! How an appliance that breaks ends: the exit code, and what the report says.

use std::time::Duration;

use loader::layout::Gate;
use rustix::process::Signal;
use tests::{
    App, Backend, Ringwall, Run, Running, on_backend, on_each_backend, processes_in_group, wait_for_end,
};

on_each_backend!(
    null_read_names_vector_address_and_function,
    stack_overflow_is_called_that,
    jump_to_data_names_the_caller,
    jump_to_nowhere_names_the_caller,
    write_to_text_is_refused_by_the_page,
    undefined_instruction_is_a_fault,
    privileged_instruction_is_a_fault,
    division_by_zero_is_a_fault,
    fault_inside_the_gate_page_is_reported,
    report_without_side_file_has_offsets,
    report_of_the_same_fault_is_the_same_at_every_boot,
    panic_shows_message_and_place_on_the_console,
    exhausted_heap_is_a_panic,
    trap_beside_the_gate_breaks_the_contract,
    exit_status_that_does_not_exist_breaks_the_contract,
    own_exit_status_is_passed_on,
    refused_calls_return_what_the_contract_says,
);
on_backend!(kvm_alone, Kvm, other_gates_instructions_reach_nobody);

fn crash(backend: Backend, how: &str) -> Run {
    Ringwall::run_app(backend, App::Crash).guest(&[how]).run()
}

/// Runs a mode that must end with a fault, and checks that its report has these lines, in this order.
#[track_caller]
fn fault_with(backend: Backend, how: &str, parts: &[&str]) {
    let report = crash(backend, how).expect(81).stderr;
    let mut rest = report.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} where expected in:\n{report}"));
        rest = &rest[at..];
    }
    assert!(rest.contains(" rip ") && rest.contains(" rflags "), "no registers in:\n{report}");
}

fn null_read_names_vector_address_and_function(backend: Backend) {
    let what =
        "ringwall: crash: page fault (vector 14, error code 0x4): read at 0x0: nothing is mapped there";
    fault_with(
        backend,
        "null",
        &[what, "crash::memory::read_null at apps/crash/src/memory.rs:", "ringwall_main"],
    );
}

fn stack_overflow_is_called_that(backend: Backend) {
    let place = "crash::memory::descend at apps/crash/src/memory.rs:";
    fault_with(backend, "stack", &["page fault (vector 14", "write at stack-0x", ": stack overflow", place]);
}

fn jump_to_data_names_the_caller(backend: Backend) {
    let place = "crash::memory::jump at apps/crash/src/memory.rs:";
    fault_with(
        backend,
        "jump-data",
        &["vector 14", "execute at image+0x", ": the page does not allow it", place],
    );
}

fn jump_to_nowhere_names_the_caller(backend: Backend) {
    let what = "execute at 0x123456789000: nothing is mapped there";
    fault_with(
        backend,
        "wild-jump",
        &["vector 14", what, "crash::memory::jump at apps/crash/src/memory.rs:"],
    );
}

fn write_to_text_is_refused_by_the_page(backend: Backend) {
    let place = "crash::memory::write_to_text at apps/crash/src/memory.rs:";
    fault_with(
        backend,
        "write-text",
        &["vector 14, error code 0x7", "write at image+0x", "does not allow it", place],
    );
}

fn undefined_instruction_is_a_fault(backend: Backend) {
    let place = "crash::faults::undefined_instruction at apps/crash/src/faults.rs:";
    fault_with(backend, "ud2", &["invalid instruction (vector 6)", place]);
}

fn privileged_instruction_is_a_fault(backend: Backend) {
    let what = "general protection fault (vector 13, error code 0x0)";
    fault_with(backend, "hlt", &[what, "crash::faults::halt at apps/crash/src/faults.rs:"]);
}

fn division_by_zero_is_a_fault(backend: Backend) {
    let place = "crash::faults::divide_by_zero at apps/crash/src/faults.rs:";
    fault_with(backend, "div0", &["division error (vector 0)", place]);
}

/// Behind the trap and its return, on every host, lies padding: breakpoints.
fn fault_inside_the_gate_page_is_reported(backend: Backend) {
    fault_with(backend, "gate-padding", &["breakpoint (vector 3)", "ringwall_gate"]);
}

fn report_without_side_file_has_offsets(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("alone.img");
    std::fs::copy(App::Crash.image(), &copy).unwrap();
    let run = Ringwall::new().args(["run"]).image(backend, &copy).guest(&["ud2"]).run().expect(81);
    assert!(run.stderr.contains("invalid instruction (vector 6)\n  0: 0x0000"), "{}", run.stderr);
    assert!(!run.stderr.contains("undefined_instruction"), "{}", run.stderr);
}

/// So no address is in it: those differ.
fn report_of_the_same_fault_is_the_same_at_every_boot(backend: Backend) {
    // A lab takes ten times as long, and its processor draws no numbers.
    let again = if std::env::var_os("RINGWALL_LAB").is_some() { 1 } else { 3 };
    for how in ["null", "stack", "write-text", "jump-data", "ud2", "hlt", "bad-exit"] {
        let first = crash(backend, how).stderr;
        assert!(first.starts_with("ringwall: crash: "), "{first}");
        for _ in 0..again {
            assert_eq!(crash(backend, how).stderr, first);
        }
    }
}

fn panic_shows_message_and_place_on_the_console(backend: Backend) {
    let run = crash(backend, "panic").expect(80);
    assert!(run.stdout.contains("panic at apps/crash/src/faults.rs:"), "{}", run.stdout);
    assert!(run.stdout.ends_with(": on purpose\n"), "{}", run.stdout);
    assert_eq!(run.stderr, "ringwall: crash: the appliance panicked\n");
}

fn exhausted_heap_is_a_panic(backend: Backend) {
    let run = crash(backend, "oom").expect(80);
    assert!(run.stdout.contains("memory allocation of 1048576 bytes failed"), "{}", run.stdout);
}

/// The mode of `crash` that executes this gate's instruction elsewhere.
fn beside_the_gate(gate: Gate) -> &'static str {
    if gate == Gate::PORT { "out" } else { gate.name }
}

fn trap_beside_the_gate_breaks_the_contract(backend: Backend) {
    if backend == Backend::Process {
        // There, OUT is no trap.
        fault_with(backend, "out", &["general protection fault", "crash::contract::out_beside_the_gate"]);
        let first = "ringwall: crash: contract violation: a trap from outside the hypercall gate\n";
        for mode in ["syscall", "uprobe"] {
            let run = crash(backend, mode).expect(83);
            assert!(run.stderr.starts_with(first), "{}", run.stderr);
            assert!(run.stderr.contains("_beside_the_gate at apps/crash/src/contract.rs:"), "{}", run.stderr);
        }
        return;
    }
    let how = beside_the_gate(backend.gate());
    let run = crash(backend, how).expect(83);
    let first = "ringwall: crash: contract violation: a trap from outside the hypercall gate\n";
    assert!(run.stderr.starts_with(first), "{}", run.stderr);
    assert!(run.stderr.contains("_beside_the_gate at apps/crash/src/contract.rs:"), "{}", run.stderr);
    assert_eq!(run.stdout, format!("crash: {how}\n"));
}

/// The instructions of other hosts' gates are faults here, or, where the CPU's own hypercall does not exit, an error to the guest.
fn other_gates_instructions_reach_nobody(backend: Backend) {
    for how in ["out", "vmcall", "vmmcall"] {
        if how == beside_the_gate(backend.gate()) {
            continue;
        }
        let run = crash(backend, how);
        let ignored = backend.gate() == Gate::PORT && how != "out" && run.code == 0;
        assert!(ignored || run.code == 81, "{how}: {run:?}");
    }
}

fn exit_status_that_does_not_exist_breaks_the_contract(backend: Backend) {
    let report = crash(backend, "bad-exit").expect(83).stderr;
    let first = "ringwall: crash: contract violation: exit with status 0x4d\n";
    assert!(report.starts_with(first), "{report}");
    assert!(report.contains("crash::contract::exit_with_bad_status"), "no backtrace in:\n{report}");
    assert!(report.contains(" rip ") && report.contains(" rflags "), "no registers in:\n{report}");
}

fn own_exit_status_is_passed_on(backend: Backend) {
    for status in ["0", "1", "63"] {
        let run = Ringwall::run_app(backend, App::Crash).guest(&["exit", status]).run();
        assert_eq!(run.expect(status.parse().unwrap()).stderr, "");
    }
}

fn refused_calls_return_what_the_contract_says(backend: Backend) {
    let run = crash(backend, "syscalls").expect(0);
    assert!(run.stdout.contains("\n0 wrong\n"), "{}", run.stdout);
}

/// Signals, limits and who dies with whom.
mod endings {
    use super::*;

    on_each_backend!(
        endless_loop_dies_within_the_grace_period_and_a_second,
        guest_that_ignores_the_signal_dies_after_the_grace_period,
        guest_that_heeds_the_signal_ends_with_its_own_status,
        second_signal_kills_at_once,
        time_limit_has_an_exit_code_of_its_own,
        standard_error_that_takes_nothing_changes_no_exit_code,
        monitor_dies_with_its_parent,
        killed_monitor_is_reported,
    );

    /// Starts a mode and waits until the guest is in it.
    fn start(backend: Backend, how: &str, options: &[&str]) -> Running {
        let running = Ringwall::run_app(backend, App::Crash).args(options).guest(&[how]).start();
        let _ = running.stdout.line_with(&format!("crash: {how}"));
        running
    }

    fn endless_loop_dies_within_the_grace_period_and_a_second(backend: Backend) {
        for (signal, name, code) in [(Signal::TERM, "SIGTERM", 143), (Signal::INT, "SIGINT", 130)] {
            let running = start(backend, "loop", &["--grace", "0.2"]);
            running.signal(signal);
            let run = running.wait_at_most(Duration::from_millis(1_200)).expect(code);
            assert_eq!(run.stderr, format!("ringwall: crash: did not end in time after {name}, killed\n"));
        }
    }

    fn guest_that_ignores_the_signal_dies_after_the_grace_period(backend: Backend) {
        let running = start(backend, "ignore-term", &["--grace", "0.1"]);
        running.signal(Signal::TERM);
        let _ = running.wait_at_most(Duration::from_millis(1_100)).expect(143);
    }

    fn guest_that_heeds_the_signal_ends_with_its_own_status(backend: Backend) {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let running = start(backend, "term", &["--grace", "60"]);
            running.signal(signal);
            let run = running.wait().expect(7);
            assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("crash: term\ncrash: told to end\n", ""));
        }
    }

    fn second_signal_kills_at_once(backend: Backend) {
        // A grace period longer than the harness's patience.
        let running = start(backend, "ignore-term", &["--grace", "3600"]);
        running.signal(Signal::TERM);
        running.signal(Signal::TERM);
        let _ = running.wait().expect(143);
    }

    fn time_limit_has_an_exit_code_of_its_own(backend: Backend) {
        let run = Ringwall::run_app(backend, App::Crash).args(["--time-limit", "0.2"]).guest(&["loop"]).run();
        assert_eq!(run.expect(84).stderr, "ringwall: crash: time limit of 0.2 s passed, killed\n");
    }

    fn standard_error_that_takes_nothing_changes_no_exit_code(backend: Backend) {
        for (mode, code) in [("loop", 84), ("null", 81), ("panic", 80)] {
            let _ = Ringwall::under(&["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"])
                .args(["run", "--time-limit", "0.5"])
                .image(backend, App::Crash.image())
                .guest(&[mode])
                .run()
                .expect(code);
        }
    }

    fn monitor_dies_with_its_parent(backend: Backend) {
        let running = start(backend, "loop", &[]);
        let (group, monitors, guest) = (running.pid(), running.children(), running.guest());
        assert_eq!(monitors.len(), 1);
        running.signal(Signal::KILL);
        let _ = running.wait();
        monitors.into_iter().chain(guest).for_each(wait_for_end);
        assert_eq!(processes_in_group(group), []);
    }

    fn killed_monitor_is_reported(backend: Backend) {
        for (signal, code, why) in
            [(Signal::KILL, 137, "killed by SIGKILL"), (Signal::SYS, 70, "this is a bug")]
        {
            // Asleep, and not in the guest: there, signals other than SIGTERM wait.
            let running = start(backend, "ignore-term", &[]);
            rustix::process::kill_process(running.children()[0], signal).unwrap();
            let run = running.wait().expect(code);
            assert!(run.stderr.contains(why), "{}", run.stderr);
        }
    }
}
