//! Signed images: nothing else runs where a key is required.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tests::{App, Backend, Ringwall, on_each_backend};

on_each_backend!(
    signed_image_runs,
    image_with_one_bit_changed_does_not_run,
    every_way_to_be_unsigned_is_told_apart
);

/// A folder with a key pair and a signed copy of `hello`.
struct Desk {
    folder: TempDir,
    image: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("hello.img");
        std::fs::copy(App::Hello.image(), &image).unwrap();
        let desk = Self { folder, image };
        desk.new_key("release");
        let run = Ringwall::new()
            .args(["sign"])
            .args([&desk.image])
            .args(["--key"])
            .args([desk.path("release.key")]);
        assert!(run.run().expect(0).stdout.contains("hello.img.minisig: signed by key "));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn new_key(&self, name: &str) {
        let _ = Ringwall::new().args(["key", "--no-password"]).args([self.path(name)]).run().expect(0);
    }

    fn run(&self, backend: Backend, key: &str) -> Ringwall {
        let run = Ringwall::new().args(["run"]).image(backend, &self.image);
        run.args(["--require-key"]).args([self.path(key)])
    }
}

fn signed_image_runs(backend: Backend) {
    let desk = Desk::new();
    let run = desk.run(backend, "release.pub").run().expect(0);
    assert!(run.stdout.starts_with("Hello"), "{}", run.stdout);
    let verify =
        Ringwall::new().args(["verify"]).args([&desk.image]).args(["--key"]).args([desk.path("release.pub")]);
    assert!(verify.run().expect(0).stdout.contains("hello.img: signed by key "));
}

fn image_with_one_bit_changed_does_not_run(backend: Backend) {
    let desk = Desk::new();
    let good = std::fs::read(&desk.image).unwrap();
    // Also bytes that mean nothing to the loader, such as padding.
    for place in [0, 8, good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[place] ^= 1;
        std::fs::write(&desk.image, changed).unwrap();
        desk.run(backend, "release.pub").run().expect(65).says_once("was changed afterwards");
    }
}

fn every_way_to_be_unsigned_is_told_apart(backend: Backend) {
    let desk = Desk::new();
    desk.new_key("other");
    desk.run(backend, "other.pub").run().expect(65).says_once(" is required");
    desk.run(backend, "missing.pub").run().expect(64).says_once("cannot read ");
    desk.run(backend, "release.key").run().expect(64).says_once("is no minisign key");
    std::fs::write(desk.path("hello.img.minisig"), "nonsense").unwrap();
    desk.run(backend, "release.pub").run().expect(65).says_once("is of no use");
    std::fs::remove_file(desk.path("hello.img.minisig")).unwrap();
    desk.run(backend, "release.pub").run().expect(65).says_once("is not signed");
}

#[test]
fn every_sampled_bit_of_an_image_is_covered() {
    let desk = Desk::new();
    let bytes = std::fs::read(&desk.image).unwrap();
    let keys = [loader::signature::PublicKey::named(desk.path("release.pub").to_str().unwrap()).unwrap()];
    let check = |bytes: &[u8]| loader::signature::check(&desk.image, bytes, &keys);
    check(&bytes).unwrap();
    // Steps of a prime reach every bit position of a byte.
    for bit in (0..bytes.len() * 8).step_by(1009) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&changed).is_err(), "bit {bit}");
    }
}

#[test]
fn minisign_and_ringwall_accept_each_others_signatures() {
    let Ok(version) = Command::new("minisign").arg("-v").output() else {
        return tests::skip("there is no minisign");
    };
    assert!(version.status.success());
    let desk = Desk::new();
    let minisign = |arguments: &[&str], files: &[(&str, &Path)]| {
        let mut command = Command::new("minisign");
        command.args(arguments);
        for (option, file) in files {
            command.arg(option).arg(file);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    minisign(&["-V", "-q"], &[("-p", &desk.path("release.pub")), ("-m", &desk.image)]);
    minisign(&["-S"], &[("-s", &desk.path("release.key")), ("-m", &desk.image)]);
    let _ = desk.run(Backend::Process, "release.pub").run().expect(0);
    minisign(&["-G", "-W"], &[("-p", &desk.path("theirs.pub")), ("-s", &desk.path("theirs.key"))]);
    minisign(&["-S"], &[("-s", &desk.path("theirs.key")), ("-m", &desk.image)]);
    let _ = desk.run(Backend::Process, "theirs.pub").run().expect(0);
    desk.run(Backend::Process, "release.pub").run().expect(65).says_once(" is required");
    // The legacy kind, which signs the file itself.
    minisign(&["-S", "-l"], &[("-s", &desk.path("theirs.key")), ("-m", &desk.image)]);
    desk.run(Backend::Process, "theirs.pub").run().expect(65).says_once("legacy kind");
}

#[test]
fn build_signs_what_it_has_built() {
    if std::env::var_os("RINGWALL_IMAGES").is_some() {
        return tests::skip("there is no cargo to build with");
    }
    let desk = Desk::new();
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/hello");
    let build = |key: &str| {
        Ringwall::new().args(["build", "--quiet"]).args([&hello]).args(["--sign"]).args([desk.path(key)])
    };
    let _ = build("release.key").run().expect(0);
    let verify = Ringwall::new().args(["verify"]).args([App::Hello.image()]).args(["--key"]);
    let _ = verify.args([desk.path("release.pub")]).run().expect(0);
    build("release.pub").run().expect(64).says_once("cannot use the secret key");
}
