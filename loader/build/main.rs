//! Puts the guest library's sources into the program, so that `ringwall new` works wherever it is installed, and orders its code.

mod start;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let package = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    start::order_functions(&package)?;
    let workspace = package.join("..").canonicalize()?;
    let mut files = vec!["rust-toolchain.toml".to_owned()];
    for package in ["guest", "hvcall"] {
        println!("cargo::rerun-if-changed={}", workspace.join(package).display());
        files.push(format!("{package}/Cargo.toml"));
        collect(&workspace, &format!("{package}/src"), &mut files)?;
    }
    files.sort();
    let root = root_manifest(&fs::read_to_string(workspace.join("Cargo.toml"))?)?;
    for file in ["Cargo.toml", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }

    let mut digest = Sha256::new_with_prefix(&root);
    let mut list = format!("pub(super) const FILES: &[(&str, &str)] = &[\n(\"Cargo.toml\", {root:?}),\n");
    for file in &files {
        let path = workspace.join(file);
        digest.update(file);
        digest.update(fs::read(&path)?);
        writeln!(list, "({file:?}, include_str!({path:?})),")?;
    }
    list.push_str("];\n");
    let digest = digest.finalize();
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    writeln!(list, "pub(super) const DIGEST: &str = {digest:?};")?;
    fs::write(Path::new(&std::env::var("OUT_DIR")?).join("library.rs"), list)?;
    Ok(())
}

/// Source files, but for tests, which are not run where the library is only used.
fn collect(workspace: &Path, folder: &str, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(workspace.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a source file's name is no text")?;
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            if name != "tests" {
                collect(workspace, &path, files)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    Ok(())
}

/// A workspace of the two crates, with what they inherit from this one. Lints are for those who work on them.
fn root_manifest(whole: &str) -> Result<String, Box<dyn Error>> {
    let start = whole.find("[workspace.package]").ok_or("the workspace has no [workspace.package]")?;
    let package = whole[start..].split("\n\n").next().unwrap_or_default();
    Ok(format!(
        "# The guest library, as `ringwall` brings it. Written by `ringwall new` and `ringwall build`.\n\
         [workspace]\nresolver = \"3\"\nmembers = [\"guest\", \"hvcall\"]\n\n{package}\n\n\
         [workspace.dependencies]\nhvcall = {{ path = \"hvcall\" }}\nguest = {{ path = \"guest\" }}\n\n\
         [workspace.lints.rust]\nunexpected_cfgs = {{ level = \"warn\", check-cfg = [\"cfg(ringwall_image)\"] }}\n"
    ))
}
