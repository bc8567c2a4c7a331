//! Files that are no disks, disks that somebody else uses, and hosts that run out of room.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::fs::{CWD, FlockOperation, Mode, flock, mkfifoat};
use rustix::process::Signal;
use tests::{App, Backend, Ringwall, on_each_backend};

use super::files::{disk, sparse};

on_each_backend!(
    what_is_no_disk_is_refused_in_one_line,
    second_monitor_on_a_disk_is_refused,
    readers_share_and_a_writer_is_alone,
    full_file_system_is_a_status_and_not_a_dead_monitor,
    file_truncated_while_running_is_an_error_and_not_a_dead_monitor,
);

fn what_is_no_disk_is_refused_in_one_line(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    mkfifoat(CWD, at("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    File::create(at("empty")).unwrap();
    File::create(at("odd")).unwrap().set_len(513).unwrap();
    File::create(at("small")).unwrap().set_len(512).unwrap();
    for (spec, code, reason) in [
        (at("fifo").display().to_string(), 64, "it is a FIFO"),
        (folder.path().display().to_string(), 64, "it is a directory"),
        ("/dev/null".to_owned(), 64, "it is a character device"),
        (at("empty").display().to_string(), 64, "it is empty"),
        (at("odd").display().to_string(), 64, "not a multiple of the 512-byte sector"),
        (format!("{},sector=4096", at("small").display()), 64, "not a multiple of the 4096-byte sector"),
        (at("missing").display().to_string(), 69, "there is no such file"),
    ] {
        disk(backend, &spec, &[]).expect(code).says_once(reason);
    }
    assert!(!at("missing").exists());
}

fn second_monitor_on_a_disk_is_refused(backend: Backend) {
    let (_folder, path) = sparse(64 << 20);
    let spec = path.display().to_string();
    let first = Ringwall::run_app(backend, App::Disk).args(["--block", &spec]).start();
    let _ = first.stdout.line_with("disk data:");
    // The first still has 64 MiB to write. It waits until the second has been refused.
    first.signal_all(Signal::STOP);
    disk(backend, &spec, &[]).expect(69).says_once("another program has locked it");
    disk(backend, &format!("{spec},ro"), &[]).expect(69).says_once("another program has locked it");
    first.signal_all(Signal::CONT);
    let _ = first.wait().expect(0);
    let _ = disk(backend, &format!("{spec},ro"), &["verify"]).expect(0);
}

fn readers_share_and_a_writer_is_alone(backend: Backend) {
    let (_folder, path) = sparse(1 << 20);
    let spec = path.display().to_string();
    let _ = disk(backend, &spec, &["write"]).expect(0);
    let reader = File::open(&path).unwrap();
    flock(&reader, FlockOperation::LockShared).unwrap();
    let _ = disk(backend, &format!("{spec},ro"), &["verify"]).expect(0);
    disk(backend, &spec, &["verify"]).expect(69).says_once("locked");
}

/// Runs a shell script in a mount namespace of its own, in which it may mount. `None` if this host does not let us.
fn in_own_mounts(script: &str) -> Option<[String; 6]> {
    let allowed = Command::new("unshare").args(["--mount", "--map-root-user", "true"]).output();
    if allowed.is_ok_and(|output| output.status.success()) {
        let words = ["unshare", "--mount", "--map-root-user", "sh", "-ec", script];
        return Some(words.map(str::to_owned));
    }
    tests::skip("this host does not let us make a mount namespace");
    None
}

fn full_file_system_is_a_status_and_not_a_dead_monitor(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().display();
    let script = format!(
        "mount -t tmpfs -o size=1M none {mount}; truncate -s 8M {mount}/disk.img; exec \"$0\" \"$@\""
    );
    let Some(words) = in_own_mounts(&script) else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let spec = folder.path().join("disk.img").display().to_string();
    let run = Ringwall::under(&words).args(["run"]).image(backend, App::Disk.image());
    let run = run.args(["--block", &spec]).guest(&["write"]).run().expect(1);
    assert!(run.stdout.contains("no space left on the host"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}

fn file_truncated_while_running_is_an_error_and_not_a_dead_monitor(backend: Backend) {
    let (_folder, path) = sparse(64 << 20);
    let spec = path.display().to_string();
    let _ = disk(backend, &spec, &["write"]).expect(0);
    let running = Ringwall::run_app(backend, App::Disk).args(["--block", &spec]).guest(&["verify"]).start();
    let _ = running.stdout.line_with("disk data:");
    // It still has most of 64 MiB to read.
    running.signal_all(Signal::STOP);
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    running.signal_all(Signal::CONT);
    let run = running.wait().expect(1);
    assert!(run.stdout.contains("read of ") && run.stdout.contains("input/output error"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}

/// Root may write everything, so there is nothing to see for it.
#[test]
fn file_that_may_only_be_read_is_refused_for_writing() {
    if tests::is_root() {
        return tests::skip("root may write every file");
    }
    Backend::Kvm.run(|backend| {
        let (_folder, path) = sparse(1 << 20);
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        disk(backend, &path.display().to_string(), &[]).expect(69).says_once("add `,ro` to use it read-only");
    });
}
