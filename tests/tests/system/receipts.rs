//! Receipts: what ran, and that what must not change has not.

use std::time::Duration;

use loader::evidence::digest;
use loader::layout::{RegionKind, Slot};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::{App, Backend, Ringwall, Run, TestMachine, on_backend, on_each_backend};

on_each_backend!(
    receipt_says_what_ran_and_how_it_ended,
    receipt_of_a_run_that_was_killed_claims_nothing_about_its_end,
    receipt_names_the_key_that_was_required,
    receipt_that_cannot_be_written_is_refused_before_the_run,
);
on_backend!(kvm_alone, Kvm, digests_are_of_the_memory_of_the_machine);
on_backend!(process_alone, Process, receipt_does_not_tell_where_anything_was);

/// Runs with a receipt.
fn receipt(run: Ringwall) -> (Run, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    let run = run.args(["--receipt"]).args([&path]).run();
    let text = std::fs::read_to_string(path).unwrap();
    (run, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn receipt_says_what_ran_and_how_it_ended(backend: Backend) {
    let (run, hello) = receipt(Ringwall::run_app(backend, App::Hello));
    let _ = run.expect(0);
    let image = std::fs::read(App::Hello.image()).unwrap();
    assert_eq!(hello["ran"]["image"]["sha256"], hex(&Sha256::digest(&image)));
    assert_eq!(hello["ran"]["image"]["name"], "hello");
    assert_eq!(hello["ran"]["backend"], backend.name());
    assert_eq!(hello["ran"]["signature"], Value::Null);
    assert_eq!(hello["gate"], backend.gate().name);
    assert_eq!(hello["host"]["sandbox"]["kills_by_filter"], true);
    assert_eq!(hello["end"]["reason"], "exit");
    assert_eq!(hello["memory"]["unchanged"], true);
    assert_eq!(hello["memory"]["before"], hello["memory"]["after"]);
    for (unit, bits) in hello["bases"]["entropy_bits"].as_object().unwrap() {
        assert!(bits.as_f64().unwrap() >= 28.0, "{unit}: {bits}");
    }
    let (run, again) = receipt(Ringwall::run_app(backend, App::Hello));
    let _ = run.expect(0);
    // Code has no addresses in it; everything else has.
    assert_eq!(hello["memory"]["before"]["text"], again["memory"]["before"]["text"]);
    assert_ne!(hello["memory"]["before"]["monitor_pages"], again["memory"]["before"]["monitor_pages"]);

    let (run, crash) = receipt(Ringwall::run_app(backend, App::Crash).guest(&["write-text"]));
    let _ = run.expect(81);
    assert_eq!(crash["end"]["reason"], "fault");
    assert_eq!(crash["end"]["fault"]["vector"], 14);
    assert_eq!(crash["end"]["exit_code"], 81);
    assert_eq!(crash["memory"]["unchanged"], true);
}

fn receipt_of_a_run_that_was_killed_claims_nothing_about_its_end(backend: Backend) {
    let run = Ringwall::run_app(backend, App::Crash).args(["--time-limit", "0.3"]).guest(&["loop"]);
    let (run, receipt) = receipt(run);
    let _ = run.expect(84);
    assert_eq!(receipt["end"]["reason"], "time limit");
    assert!(receipt["memory"]["before"]["text"].is_string());
    assert_eq!(receipt["memory"]["after"], Value::Null);
    assert_eq!(receipt["memory"]["unchanged"], Value::Null);
}

fn receipt_names_the_key_that_was_required(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("hello.img");
    std::fs::copy(App::Hello.image(), &image).unwrap();
    let pair = loader::signature::new_key_pair(&folder.path().join("key"), false).unwrap();
    let key = loader::signature::SecretKey::open(&pair.secret).unwrap();
    key.sign(&image, &std::fs::read(&image).unwrap()).unwrap();
    let run = Ringwall::new().args(["run"]).image(backend, &image).args(["--require-key", &pair.line]);
    let (run, receipt) = receipt(run);
    let _ = run.expect(0);
    assert_eq!(receipt["ran"]["signature"]["key"], pair.id);
}

fn receipt_that_cannot_be_written_is_refused_before_the_run(backend: Backend) {
    for path in ["/no/such/folder/receipt", "/dev/null", "/tmp"] {
        let run = Ringwall::run_app(backend, App::Hello).args(["--receipt", path]).run();
        run.expect(71).says_once(&format!("cannot write {path}: "));
    }
}

fn digests_are_of_the_memory_of_the_machine(_: Backend) {
    let mut machine = TestMachine::new(App::Hello, &[]);
    let digests = |machine: &TestMachine| {
        let sealed = machine.machine.monitor.dispatcher.memory.sealed();
        digest::of(&machine.machine.plan, sealed, Some(&machine.machine.tables))
    };
    let before = digests(&machine);
    let tables = machine.bytes_of(Slot::Tables);
    let page = machine.machine.plan.region(RegionKind::Descriptors);
    assert_eq!((page.offset, page.size_bytes), (0, 4096));
    assert_eq!(before.descriptors[..], Sha256::digest(&tables[..4096])[..]);
    assert_eq!(before.page_tables[..], Sha256::digest(&tables[4096..])[..]);
    let sealed = machine.bytes_of(Slot::ReadOnly);
    let mut text = Sha256::new();
    for region in machine.machine.plan.regions.iter().filter(|region| region.kind == RegionKind::Text) {
        let start = usize::try_from(region.offset).unwrap();
        text.update(&sealed[start..][..usize::try_from(region.size_bytes).unwrap()]);
    }
    assert_eq!(before.text[..], text.finalize()[..]);

    assert_eq!(machine.run().end().unwrap().exit_code().0, 0);
    assert_eq!(digests(&machine), before);
    // One bit of one entry of the last table, and one of the descriptors.
    let last = tables.len() - 1;
    machine.machine.tables.fill(last, &[tables[last] ^ 1]);
    let spoiled = digests(&machine);
    assert_ne!(spoiled.page_tables, before.page_tables);
    assert_eq!((spoiled.descriptors, spoiled.text), (before.descriptors, before.text));
    machine.machine.tables.fill(5, &[tables[5] ^ 1]);
    assert_ne!(digests(&machine).descriptors, before.descriptors);
}

fn receipt_does_not_tell_where_anything_was(backend: Backend) {
    if !tests::is_root() {
        return tests::skip("only root may look into a process that cannot be dumped");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    let run = Ringwall::run_app(backend, App::Crash).args(["--receipt"]).args([&path]).guest(&["loop"]);
    let running = run.args(["--grace", "0.1"]).start();
    let _ = running.stdout.line_with("crash: loop");
    let maps =
        std::fs::read_to_string(format!("/proc/{}/maps", running.guest().unwrap().as_raw_nonzero())).unwrap();
    running.signal(rustix::process::Signal::TERM);
    let _ = running.wait_at_most(Duration::from_secs(60)).expect(143);
    let text = std::fs::read_to_string(path).unwrap();
    let bases: Vec<u64> = maps
        .lines()
        .filter(|line| line.contains("ringwall-"))
        .map(|line| u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap())
        .collect();
    assert!(bases.len() > 5, "{maps}");
    for base in bases {
        // As anybody would write it, or its page number.
        for shown in [format!("{:x}", base >> 12), base.to_string(), (base >> 12).to_string()] {
            assert!(!text.contains(&shown), "{shown} in {text}");
        }
    }
}
