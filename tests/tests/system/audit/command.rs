//! The command: exit codes, text, JSON, and `run --audit`.

use tests::{App, Backend, ImageFile, Ringwall, on_each_backend};

on_each_backend!(run_with_audit_takes_good_images_and_refuses_spoiled_ones);

fn audit(arguments: &[&str]) -> tests::Run {
    Ringwall::new().args(["audit"]).args(arguments).run()
}

fn path_of(app: App) -> &'static str {
    app.image().to_str().unwrap()
}

#[test]
fn good_image_ends_with_zero_and_text_says_so() {
    let run = audit(&[path_of(App::Hello)]).expect(0);
    assert!(run.stdout.contains("pass  instructions"), "{}", run.stdout);
    assert!(!run.stdout.contains("FAIL"), "{}", run.stdout);
    assert!(run.stdout.contains("guest"), "the symbols beside it were used: {}", run.stdout);
    assert_eq!(run.stderr, "");
}

#[test]
fn json_has_the_promised_form_and_the_same_verdict() {
    for (app, code) in [(App::Hello, 0), (App::Attack, 65)] {
        let run = audit(&[path_of(app), "--json"]).expect(code);
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(json["passed"], code == 0);
        let checks = json["checks"].as_array().unwrap();
        assert!(checks.len() > 15);
        for check in checks {
            assert!(check["name"].is_string() && check["evidence"].is_string() && check["why"].is_string());
        }
        assert_eq!(json["passed"], checks.iter().all(|check| check["passed"] == true));
    }
}

#[test]
fn failed_check_says_why_it_matters() {
    let run = audit(&[path_of(App::Attack)]).expect(65);
    let lines: Vec<_> = run.stdout.lines().collect();
    let failed = lines.iter().position(|line| line.starts_with("FAIL  instructions")).unwrap();
    assert!(lines[failed + 1].contains("-> a program that means to execute one of these"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_read_and_wrong_use_have_the_usual_codes() {
    audit(&["/nonexistent.img"]).expect(65).says_once("cannot read image /nonexistent.img");
    audit(&["/"]).expect(65).says_once("is not a regular file");
    let none = audit(&[]).expect(64);
    assert!(none.stderr.contains("IMAGE"), "{}", none.stderr);
    let passwords = audit(&["/etc/passwd"]).expect(65);
    assert!(passwords.stdout.contains("FAIL  elf-header  no ELF file"), "{}", passwords.stdout);
}

#[test]
fn symbols_of_another_build_are_refused_if_named_and_left_out_if_found() {
    let foreign = App::Attack.symbols().to_str().unwrap();
    audit(&[path_of(App::Hello), "--symbols", foreign]).expect(65).says_once("is of another build");
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("hello.img");
    std::fs::copy(App::Hello.image(), &image).unwrap();
    std::fs::copy(foreign, folder.path().join("hello.debug")).unwrap();
    let run = audit(&[image.to_str().unwrap()]).expect(0);
    assert!(run.stderr.contains("ringwall: without symbols: "), "{}", run.stderr);
}

fn run_with_audit_takes_good_images_and_refuses_spoiled_ones(backend: Backend) {
    let good = Ringwall::new().args(["run", "--audit"]).image(backend, App::Hello.image()).run().expect(0);
    assert!(good.stdout.contains("Hello"), "{}", good.stdout);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spoiled.img");
    std::fs::write(&path, ImageFile::of(App::Hello).with_code_at_entry(b"\x0f\x05").bytes).unwrap();
    let run = Ringwall::new().args(["run", "--audit"]).image(backend, &path).run().expect(65);
    run.says_once("the audit failed: instructions (syscall at 0x");
}
