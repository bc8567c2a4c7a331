//! Bakes a configuration into the image.
//!
//! The file is the one that `RINGWALL_LB` names (relative to the workspace root), or else `lb.toml` beside the manifest. It is
//! read with the code that the appliance itself has, `src/config.rs`, so what builds is what starts. The same file gives the
//! same output.

extern crate alloc;

#[path = "../src/config.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the appliance's, which needs more of it")]
mod config;
mod read;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=RINGWALL_LB");
    match bake() {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            println!("cargo::error={wrong}");
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn bake() -> Result<(), String> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let own = std::env::var_os("RINGWALL_LB").filter(|value| !value.is_empty());
    let file = own.map_or_else(|| package.join("lb.toml"), |own| package.join("../..").join(own));
    println!("cargo::rerun-if-changed={}", file.display());
    let shown = file.strip_prefix(&package).unwrap_or(&file).display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{shown}: {error}"))?;
    let settings = read::settings(&shown, &text)?;
    // The form of a Rust expression is what Debug gives for pairs of strings.
    let baked = Path::new(&variable("OUT_DIR")?).join("baked.rs");
    std::fs::write(&baked, format!("&{settings:?}")).map_err(|error| format!("{}: {error}", baked.display()))
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}
