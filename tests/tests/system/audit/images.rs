//! Our own images: good ones pass, spoiled ones fail for the right reason and hurt nobody when they are run.

use loader::audit::{Report, audit};
use tests::spoiled::{self, Spoiled};
use tests::{APPS, App, Backend, Ringwall, on_each_backend};

on_each_backend!(spoiled_images_are_refused_or_survived);

/// Appliances that hold what they should not, on purpose.
const HOSTILE: [App; 3] = [App::Attack, App::Crash, App::Fuzzer];

fn report_of(app: App) -> Report {
    let read = |path| std::fs::read(path).unwrap();
    audit(&read(app.image()), Some(&read(app.symbols())))
}

#[test]
fn every_appliance_passes_unless_it_is_hostile() {
    for app in APPS {
        let report = report_of(app);
        assert_eq!(report.passed, !HOSTILE.contains(&app), "{}:\n{report}", app.name());
        assert!(report.symbols && !report.crates.is_empty());
        let order = report.checks.iter().find(|check| check.name == "function-order").unwrap();
        assert!(
            order.passed && order.evidence.contains(" functions lie behind"),
            "{}: {order:?}",
            app.name()
        );
        let failed: Vec<_> = report.failures().map(|check| check.name).collect();
        let known = ["instructions", "trap-site", "decoding", "stack-clash"];
        assert!(failed.iter().all(|name| known.contains(name)), "{}:\n{report}", app.name());
    }
}

#[test]
fn hostile_appliances_are_told_what_is_wrong_with_them() {
    let attack = report_of(App::Attack);
    let evidence =
        |name: &str| attack.checks.iter().find(|check| check.name == name).unwrap().evidence.clone();
    let instructions = evidence("instructions");
    // Five places of each kind are named, and which ones come first is up to the order of functions, which is random.
    for names in [
        &["syscall at"][..],
        &["hlt at"],
        &["lgdt at"],
        &["vmmcall at"],
        &["rdmsr at", "wrmsr at", "rdpmc at"],
        &["in at", "out at", "insb at", "outsb at"],
        &["iretq at", "sysretq at", "sysexitq at", "rsm at"],
    ] {
        assert!(names.iter().any(|name| instructions.contains(name)), "{names:?} is not in {instructions}");
    }
    assert!(instructions.contains("attack::instructions::"), "the functions are named: {instructions}");
    assert!(evidence("trap-site").starts_with("2 instructions"));
}

#[test]
fn spoiled_images_fail_the_check_that_is_meant_and_no_two_are_the_same() {
    let spoiled = spoiled::all();
    let mut wrong = Vec::new();
    for Spoiled { name, file, check, evidence, .. } in &spoiled {
        let report = audit(&file.bytes, None);
        let failed = report.failures().find(|failed| failed.name == *check);
        if !failed.is_some_and(|failed| failed.evidence.contains(evidence) && !failed.why.is_empty())
            || report.passed
        {
            wrong.push(format!("{name}: wanted {check} with {evidence:?}\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut names: Vec<_> = spoiled.iter().map(|spoiled| spoiled.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), spoiled.len());
    assert!(spoiled.len() >= 25);
}

fn spoiled_images_are_refused_or_survived(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spoiled.img");
    let mut wrong = Vec::new();
    for Spoiled { name, file, ending, .. } in spoiled::all() {
        std::fs::write(&path, file.bytes).unwrap();
        let run = Ringwall::new().args(["run"]).image(backend, &path).run();
        if !ending.fits(run.code) {
            wrong.push(format!(
                "{name}: {ending:?} was wanted, the exit code is {}: {}",
                run.code, run.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cut_and_changed_images_never_pass_for_the_whole_one() {
    let original = std::fs::read(App::Hello.image()).unwrap();
    for size_bytes in (0..original.len()).step_by(331) {
        assert!(!audit(&original[..size_bytes], None).passed, "{size_bytes} bytes");
    }
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..300 {
        let mut bytes = original.clone();
        for _ in 0..random.usize(1..8) {
            let part = if random.bool() { 0x600 } else { bytes.len() };
            let at = random.usize(..part);
            bytes[at] ^= 1 << random.u32(..8);
        }
        let report = audit(&bytes, Some(&original));
        assert_eq!(report.passed, report.failures().next().is_none());
    }
}
