//! Cores of appliances that broke, as gdb sees them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tests::{App, Backend, Ringwall, on_backend, on_each_backend};

on_each_backend!(
    gdb_shows_function_line_and_locals_of_a_fault,
    gdb_shows_memory_of_every_kind,
    core_is_its_owners_alone_and_none_is_left_of_a_good_end,
    gdb_shows_who_panicked,
    gdb_shows_where_the_contract_was_broken,
    core_that_cannot_be_written_is_refused_before_the_run,
);
on_backend!(kvm_alone, Kvm, core_beyond_a_limit_of_the_host_is_cut_and_called_that);

/// A folder with a core in it.
struct Broken {
    _folder: TempDir,
    core: PathBuf,
    stderr: String,
}

impl Broken {
    fn new(backend: Backend, how: &str, code: i32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("core");
        let run = Ringwall::run_app(backend, App::Crash).args(["--core"]).args([&core]).guest(&[how]).run();
        Self { _folder: folder, core, stderr: run.expect(code).stderr }
    }

    /// What gdb prints. Nothing where there is no gdb.
    fn gdb(&self, commands: &[&str]) -> Option<String> {
        let mut gdb = Command::new("gdb");
        gdb.args(["-nx", "-q", "-batch"]);
        for command in commands {
            gdb.args(["-ex", command]);
        }
        let Ok(output) = gdb.arg(App::Crash.symbols()).arg(&self.core).output() else {
            tests::skip("gdb is not installed");
            return None;
        };
        Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    #[track_caller]
    fn shows(&self, commands: &[&str], parts: &[&str]) {
        let Some(text) = self.gdb(commands) else { return };
        for part in parts {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }
}

fn gdb_shows_function_line_and_locals_of_a_fault(backend: Backend) {
    let broken = Broken::new(backend, "locals", 81);
    assert!(broken.stderr.contains("ringwall: core in "), "{}", broken.stderr);
    broken.shows(
        &["bt", "frame function crash::memory::read_null_among_locals", "info locals"],
        &[
            "Program terminated with signal SIGSEGV",
            "crash::memory::read_null () at apps/crash/src/memory.rs:",
            "crash::memory::read_null_among_locals () at apps/crash/src/memory.rs:",
            "crash::main::{async_fn#0} () at apps/crash/src/main.rs:",
            "guest::arch::entry::_start",
            "width = 1920",
            "name = \"panel\"",
            "rows = [3, 1, 4]",
        ],
    );
}

fn gdb_shows_memory_of_every_kind(backend: Backend) {
    let broken = Broken::new(backend, "null", 81);
    // Code, stack, and a variable: the data that is also a `ret`.
    broken.shows(
        &["x/i $pc", "x/2gx $rsp", "p crash::memory::DATA", "info registers rip"],
        &["=> 0x", "crash::memory::read_null", "195"],
    );
    let text = broken.gdb(&["x/2gx $rsp", "x/i $pc"]).unwrap_or_default();
    assert!(!text.contains("Cannot access memory"), "{text}");
}

fn gdb_shows_who_panicked(backend: Backend) {
    let broken = Broken::new(backend, "panic", 80);
    broken.shows(
        &["bt"],
        &[
            "Program terminated with signal SIGABRT",
            "crash::faults::panic_on_purpose () at apps/crash/src/faults.rs:",
        ],
    );
}

fn gdb_shows_where_the_contract_was_broken(backend: Backend) {
    let broken = Broken::new(backend, "bad-exit", 83);
    broken.shows(&["bt"], &["crash::contract::exit_with_bad_status () at apps/crash/src/contract.rs:"]);
}

fn core_is_its_owners_alone_and_none_is_left_of_a_good_end(backend: Backend) {
    let broken = Broken::new(backend, "ud2", 81);
    let metadata = std::fs::metadata(&broken.core).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(metadata.len() > App::Crash.parsed().manifest.memory_bytes);
    // A file that everybody may read becomes the owner's alone before anything is in it, and goes if nothing will be.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core");
    std::fs::write(&path, "old").unwrap();
    let run = Ringwall::run_app(backend, App::Hello).args(["--core"]).args([&path]).run().expect(0);
    assert_eq!(run.stderr, "");
    assert!(!path.exists());
}

fn core_that_cannot_be_written_is_refused_before_the_run(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
    let link = link.to_str().unwrap();
    for path in ["/no/such/folder/core", "/dev/full", "/tmp", link] {
        let run = Ringwall::run_app(backend, App::Crash).args(["--core", path]).guest(&["null"]).run();
        run.expect(71).says_once(&format!("cannot write {path}: "));
    }
    assert!(!folder.path().join("elsewhere").exists());
}

/// Under KVM: the memory of a guest that is a process is a file as well, and would meet the limit first.
fn core_beyond_a_limit_of_the_host_is_cut_and_called_that(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let core = folder.path().join("core");
    let run =
        Ringwall::under(&["prlimit", "--fsize=1000000"]).args(["run"]).image(backend, App::Crash.image());
    let run = run.args(["--core"]).args([&core]).guest(&["null"]).run().expect(81);
    assert!(run.stderr.contains("is not whole: the host took 1000000 bytes"), "{}", run.stderr);
    assert_eq!(std::fs::metadata(core).unwrap().len(), 1_000_000);
}
