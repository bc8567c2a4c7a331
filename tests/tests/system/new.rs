//! From nothing to a running appliance, as a new user does it: outside the repository, with a home of one's own.

mod crates;
mod seeds;

use std::fs;

use cyclonedx_bom::prelude::{Bom, Validate as _};
use loader::build::Report;
use tests::{Backend, Ringwall, on_each_backend};

use crates::first_home;

on_each_backend!(a_new_crate_builds_and_runs);

fn a_new_crate_builds_and_runs(backend: Backend) {
    let Some(home) = first_home() else { return };
    let run = home.ringwall(&["run", ".", "--backend", backend.name(), "--", "you", "too"]).run().expect(0);
    assert_eq!(run.stdout, "Hello, you!\nHello, too!\n");
    let run = home.ringwall(&["run", ".", "--backend", backend.name()]).run().expect(0);
    assert_eq!(run.stdout, "Hello, world!\n");
}

#[test]
fn a_new_crates_own_test_passes() {
    let Some(home) = first_home() else { return };
    let output = home.cargo().args(["test", "--offline"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_new_crate_holds_no_copy_of_the_library_and_no_path_of_this_machine() {
    let Some(home) = first_home() else { return };
    assert!(fs::symlink_metadata(home.folder().join(".ringwall")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(home.folder().join(".gitignore")).unwrap(), "/target\n/.ringwall\n");
    for file in ["Cargo.toml", "README.md", "rust-toolchain.toml", "src/lib.rs", "src/main.rs"] {
        let text = fs::read_to_string(home.folder().join(file)).unwrap();
        assert!(!text.contains(home.root().to_str().unwrap()) && !text.contains('@'), "{file}: {text}");
    }
    let main = fs::read_to_string(home.folder().join("src/main.rs")).unwrap();
    assert!((15..=25).contains(&main.lines().count()), "{main}");
}

#[test]
fn what_cannot_become_a_crate_is_refused_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| Ringwall::new().args(["new"]).args([folder.path().join(name)]).run().expect(64);
    fs::write(folder.path().join("taken"), "mine").unwrap();
    make("taken").says_once("exists already");
    make("Loud").says_once("begins with a letter a to z");
    make("fn").says_once("has a meaning of its own");
    make("..").says_once("does not end in a name");
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["taken"]);
}

#[test]
fn the_bill_of_materials_is_valid_and_names_what_is_linked() {
    let Some(home) = first_home() else { return };
    let document = fs::read(home.image("cdx.json")).unwrap();
    let bom = Bom::parse_from_json(document.as_slice()).unwrap();
    assert!(bom.validate().passed(), "{:?}", bom.validate());

    let report: Report = serde_json::from_slice(&fs::read(home.image("json")).unwrap()).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(json["metadata"]["component"]["hashes"][0]["content"], report.image.sha256.as_str());
    let components = json["components"].as_array().unwrap();
    let scope =
        |name: &str| components.iter().find(|found| found["name"] == name).map(|found| &found["scope"]);
    assert_eq!(scope("guest").unwrap(), "required");
    assert_eq!(scope("rust-core").unwrap(), "required");
    assert_eq!(scope("smoltcp").unwrap(), "excluded", "an appliance without a network has its code");
    assert_eq!(scope("tempfile"), None);
    let named = components.iter().filter(|found| found["scope"] == "required").count();
    // All code has an owner, but for the appliance's own and what no line table speaks of.
    let unknown: u64 = report.code.iter().filter(|code| code.package == "?").map(|code| code.bytes).sum();
    let all: u64 = report.code.iter().map(|code| code.bytes).sum();
    assert!(named >= 4 && unknown * 10 < all, "{:?}", report.code);
}

#[test]
fn a_crate_from_another_machine_gets_its_link_to_the_library() {
    let Some(home) = first_home() else { return };
    let folder = tempfile::tempdir_in(home.root()).unwrap();
    for file in ["Cargo.toml", "src/lib.rs", "src/main.rs"] {
        fs::create_dir_all(folder.path().join("src")).unwrap();
        fs::copy(home.folder().join(file), folder.path().join(file)).unwrap();
    }
    fs::write(folder.path().join("src/main.rs"), "compile_error!{\"this is main\"}").unwrap();
    let run = home.ringwall(&["build", "--offline", "--quiet"]).args([folder.path()]).run().expect(65);
    assert!(run.stderr.contains("this is main"), "{}", run.stderr);
    assert!(folder.path().join(".ringwall/guest/Cargo.toml").is_file());
}
