//! What only a guest that is a process has: nothing but its regions.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use tests::{App, Backend, Ringwall, Running, is_root, on_backend, processes_in_group};

on_backend!(
    process,
    Process,
    guest_holds_its_regions_and_nothing_else,
    guest_that_is_killed_is_reported,
    host_without_kvm_says_so_and_runs_the_guest_all_the_same,
    first_process_of_a_namespace_is_told_how_not_to_be,
    chroot_without_anything_will_do,
    unprivileged_user_will_do,
    backend_and_gate_must_go_together,
);

fn start(backend: Backend) -> Running {
    let running = Ringwall::run_app(backend, App::Crash).guest(&["ignore-term"]).start();
    let _ = running.stdout.line_with("crash: ignore-term");
    running
}

fn guest_holds_its_regions_and_nothing_else(backend: Backend) {
    let running = start(backend);
    let folder = format!("/proc/{}", running.guest().expect("a guest").as_raw_nonzero());
    let Ok(maps) = fs::read_to_string(format!("{folder}/maps")) else {
        return tests::skip("this user may not look into a process that cannot be dumped");
    };
    let mut writable = 0;
    let mut executable = 0;
    for line in maps.lines() {
        // Address, access, offset, device, inode, what.
        let fields: Vec<&str> = line.split_whitespace().collect();
        match (fields[1], fields[5]) {
            ("rw-s", "/memfd:ringwall-writable") => writable += 1,
            ("r-xs", "/memfd:ringwall-sealed") => executable += 1,
            ("r--s", "/memfd:ringwall-sealed") | ("--xp", "[vsyscall]") => {}
            _ => panic!("{line} in\n{maps}"),
        }
    }
    // Text. Data, fault stack, stack, heap.
    assert_eq!((executable, writable), (1, 4), "{maps}");
    assert_eq!(fs::read_dir(format!("{folder}/fd")).unwrap().count(), 0);
    let status = fs::read_to_string(format!("{folder}/status")).unwrap();
    for line in [
        "Threads:\t1",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
    ] {
        assert!(status.contains(line), "no {line} in {status}");
    }
    running.signal(Signal::KILL);
}

fn guest_that_is_killed_is_reported(backend: Backend) {
    let running = start(backend);
    rustix::process::kill_process(running.guest().expect("a guest"), Signal::KILL).unwrap();
    let group = running.pid();
    let run = running.wait().expect(137);
    assert_eq!(run.stderr, "ringwall: crash: the guest's process was killed by SIGKILL\n");
    assert_eq!(processes_in_group(group), []);
}

/// In a user namespace, for other users than root, with an empty `/dev`.
fn host_without_kvm_says_so_and_runs_the_guest_all_the_same(_: Backend) {
    let script = "mount -t tmpfs none /dev && exec \"$0\" \"$@\"";
    let words = ["unshare", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-c", script];
    let run = Ringwall::under(&words).args(["run"]).args([App::Hello.image()]).run().expect(0);
    assert!(run.stdout.starts_with("Hello from ring 3!\n"));
    let one = run.stderr.lines().count() == 1;
    assert!(
        one && run.stderr.starts_with("ringwall: backend process: cannot open /dev/kvm: "),
        "{}",
        run.stderr
    );
}

/// `unshare --pid` alone leaves the program where it is; the next process that it makes is the first of the new namespace.
fn first_process_of_a_namespace_is_told_how_not_to_be(backend: Backend) {
    let words = ["unshare", "--map-root-user", "--pid"];
    let run = Ringwall::under(&words).args(["run"]).image(backend, App::Hello.image()).run().expect(71);
    run.says_once("--pid --fork");
}

fn chroot_without_anything_will_do(backend: Backend) {
    if !is_root() {
        return tests::skip("only root may change its root");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::copy(App::Hello.image(), folder.path().join("hello.img")).unwrap();
    let program = Ringwall::program();
    let name = Path::new("/ringwall");
    fs::copy(program, folder.path().join("ringwall")).unwrap();
    let root = folder.path().to_str().unwrap();
    let run = Ringwall::other(Path::new("chroot")).args([root]).args([name]).args(["run"]);
    let run = run.image(backend, Path::new("/hello.img")).run().expect(0);
    assert!(run.stdout.starts_with("Hello from ring 3!\n"));
    assert_eq!(run.stderr, "");
}

fn unprivileged_user_will_do(backend: Backend) {
    if !is_root() {
        return tests::skip("the other tests show it");
    }
    let words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    // Where the program and the image lie may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (program, image) = (folder.path().join("ringwall"), folder.path().join("crash.img"));
    fs::copy(Ringwall::program(), &program).unwrap();
    fs::copy(App::Crash.image(), &image).unwrap();
    for (how, code) in [("null", 81), ("syscall", 83), ("bad-exit", 83), ("panic", 80), ("syscalls", 0)] {
        let run = Ringwall::other(Path::new(words[0])).args(&words[1..]).args([&program]).args(["run"]);
        let _ = run.image(backend, &image).guest(&[how]).run().expect(code);
    }
}

fn backend_and_gate_must_go_together(_: Backend) {
    for (backend, gate) in [("kvm", "syscall"), ("process", "port"), ("process", "vmcall")] {
        let options = ["run", "--backend", backend, "--gate", gate];
        let run = Ringwall::new().args(options).args([App::Hello.image()]).run().expect(64);
        run.says_once(&format!("--backend {backend} has no gate `{gate}`"));
    }
    let run = Ringwall::new().args(["run", "--gate", "syscall"]).args([App::Hello.image()]).run().expect(0);
    assert_eq!(run.stderr, "");
}
