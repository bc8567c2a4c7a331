//! Wrong use of the command line: one clear line, the right exit code, and nothing done.

use tests::{App, Backend, Ringwall, on_each_backend};

on_each_backend!(
    devices_must_match_the_manifest,
    memory_that_does_not_do_is_refused_with_what_would,
    arguments_that_do_not_fit_are_refused,
    paths_that_are_no_image_are_refused,
    help_and_version_are_no_errors,
    images_without_a_crate_are_built_from_one,
);

/// What clap refuses: a line that begins with `error:`, hints behind it.
#[test]
fn nonsense_is_refused_with_a_reason_first() {
    for (arguments, reason) in [
        (["frobnicate"].as_slice(), "unrecognized subcommand 'frobnicate'"),
        (&["run"], "required arguments"),
        (&["run", "x.img", "--frob"], "unexpected argument '--frob'"),
        (&["run", "x.img", "stray"], "unexpected argument 'stray'"),
        (&["run", "x.img", "--mem"], "a value is required for '--mem"),
        (&["run", "x.img", "--mem", "12Q"], "`12Q` is not a size: write for example 64M"),
        (&["run", "x.img", "--mem", "99999999999999999999"], "is not a size"),
        (&["run", "x.img", "--mem=-1"], "is not a size"),
        (&["run", "x.img", "--grace", "soon"], "`soon` is not a number of seconds"),
        (&["run", "x.img", "--grace=-1"], "negative"),
        (&["run", "x.img", "--grace=inf"], "`inf` seconds"),
        (&["run", "x.img", "--time-limit=NaN"], "`NaN` seconds"),
        (&["run", "x.img", "--net", "net=carrier-pigeon"], "carrier-pigeon"),
        (&["run", "x.img", "--publish", "80"], "80"),
        (&["run", "x.img", "--publish", "70000:80"], "70000"),
        (&["run", "x.img", "--allow", "everything"], "everything"),
        (&["run", "x.img", "--block", ",ro"], "no file name"),
        (&["run", "x.img", "--block", "f,sector=1000"], "has to be 512 or 4096"),
    ] {
        let run = Ringwall::new().args(arguments).run().expect(64);
        let first = run.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: "), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(reason), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

fn devices_must_match_the_manifest(backend: Backend) {
    for (app, options, reason) in [
        (App::Hello, ["--net", "user"].as_slice(), "--net: hello has no NIC"),
        (App::Hello, &["--block", "x"], "--block: hello has no disk"),
        (App::Hello, &["--publish", "80:80"], "--publish: the appliance has no NIC"),
        (App::Disk, &[], "disk needs disk `data`: give it with --block data=disk.img"),
        (App::Disk, &["--block", "other=x"], "no disk `other`; it has: data"),
        (App::Disk, &["--block", "a", "--block", "b"], "disk `data` is given twice"),
        (App::Disk, &["--block", "a", "--net", "user"], "--net: disk has no NIC"),
    ] {
        Ringwall::run_app(backend, app).args(options).run().expect(64).says_once(reason);
    }
}

fn memory_that_does_not_do_is_refused_with_what_would(backend: Backend) {
    let with = |memory: &str| Ringwall::run_app(backend, App::Hello).args(["--mem", memory]).run();
    with("1000001").expect(64).says_once("1000001 bytes of memory are not whole pages of 4096 bytes");
    for memory in ["0", "4K"] {
        with(memory).expect(64).says_once("too few for this image: it needs at least ");
    }
    // What the message asks for does, and a page less does not.
    let message = with("4K").stderr;
    let needed = message.split("at least ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let _ = with(needed).expect(0);
    let less = needed.parse::<u64>().unwrap() - 4096;
    with(&less.to_string()).expect(64).says_once(needed);
}

fn arguments_that_do_not_fit_are_refused(backend: Backend) {
    let longest = "x".repeat(8191);
    let with = |text: &str| Ringwall::run_app(backend, App::Hello).guest(&[text]).run();
    assert!(with(&longest).expect(0).stdout.ends_with(&format!("argument 0: {longest}\n")));
    with(&format!("{longest}x")).expect(64).says_once("take 8193 bytes, at most 8192 fit");
}

fn paths_that_are_no_image_are_refused(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "#!/bin/sh\n").unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing");
    for (path, code, reason) in [
        (missing.as_path(), 65, "cannot read image"),
        (&text, 65, "not a readable ELF file"),
        (&empty, 65, "not a readable ELF file"),
        ("/dev/null".as_ref(), 65, "is not a regular file"),
        ("/dev/zero".as_ref(), 65, "is not a regular file"),
        ("/bin/sh".as_ref(), 65, "it is an ordinary program, not an appliance"),
        (folder.path(), 64, "it is not a crate folder"),
    ] {
        Ringwall::new().args(["run"]).image(backend, path).run().expect(code).says_once(reason);
    }
}

fn help_and_version_are_no_errors(_: Backend) {
    for arguments in [["--help"].as_slice(), &["--version"], &["run", "--help"], &["build", "--help"]] {
        let run = Ringwall::new().args(arguments).run().expect(0);
        assert!(run.stdout.contains("ringwall") && run.stderr.is_empty(), "{arguments:?}");
    }
}

/// `run FOLDER` builds where needed; the appliance's output stays alone on standard output.
fn images_without_a_crate_are_built_from_one(backend: Backend) {
    let _ = App::Hello.image();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../apps/hello");
    let run = Ringwall::new().args(["run"]).image(backend, folder.as_ref()).run().expect(0);
    assert!(run.stdout.starts_with("Hello from ring 3!\n"), "{}", run.stdout);
}
