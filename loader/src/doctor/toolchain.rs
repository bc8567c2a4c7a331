//! What `ringwall build` needs. Running a sealed image needs none of it.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use cargo_metadata::semver::Version;

use super::Check;
use crate::build::{RUST_TARGET, cargo_program};

/// Oldest Rust that builds an appliance, as in the workspace's `rust-version`.
const OLDEST_RUST: Version = Version::new(1, 95, 0);
const INSTALL: &str = "only building needs it: install Rust from https://rustup.rs";

pub(super) fn checks() -> Vec<Check> {
    vec![version("cargo", &cargo_program()), version("rustc", Path::new("rustc")), target(), linker()]
}

fn version(name: &'static str, program: &Path) -> Check {
    let text = match output(program, &["--version"]) {
        Ok(text) => text,
        Err(error) => {
            return Check::limited(name, format!("cannot run {}: {error}", program.display()), INSTALL);
        }
    };
    match parse_version(&text) {
        Some(version) if version >= OLDEST_RUST => Check::ok(name, text),
        _ => {
            let advice = format!("only building needs it: `rustup update`, for {OLDEST_RUST} or newer");
            Check::limited(name, text, advice)
        }
    }
}

/// The version in `cargo 1.95.0 (abcdef 2026-04-14)`, without `-nightly` and the like, which semver sorts before 1.95.0.
fn parse_version(text: &str) -> Option<Version> {
    let full = Version::parse(text.split_whitespace().nth(1)?).ok()?;
    Some(Version::new(full.major, full.minor, full.patch))
}

/// Rust's library for the one target.
fn target() -> Check {
    let folder = output(Path::new("rustc"), &["--print", "target-libdir", "--target", RUST_TARGET]);
    match folder {
        Ok(folder) if Path::new(&folder).is_dir() => Check::ok("Rust target", RUST_TARGET),
        Ok(_) | Err(_) => {
            let advice = format!("only building needs it: `rustup target add {RUST_TARGET}`");
            Check::limited("Rust target", format!("{RUST_TARGET} is not installed"), advice)
        }
    }
}

fn linker() -> Check {
    match output(Path::new("cc"), &["-dumpversion"]) {
        Ok(version) => Check::ok("linker driver", format!("cc {version}")),
        Err(error) => {
            let advice = "only building needs it: install gcc or clang, such as `sudo apt install gcc`";
            Check::limited("linker driver", format!("cannot run cc: {error}"), advice)
        }
    }
}

/// The first line that a program prints.
fn output(program: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let is_new_enough = |text| parse_version(text).is_some_and(|version| version >= OLDEST_RUST);
        assert!(is_new_enough("cargo 1.95.0 (f2d3ce0bd 2026-03-21)"));
        assert!(is_new_enough("rustc 1.100.0-nightly (59807616e 2026-04-14)"));
        assert!(is_new_enough("rustc 1.95.0-beta.3"));
        assert!(!is_new_enough("rustc 1.94.1 (e408947bf 2026-03-25)"));
        assert!(!is_new_enough("rustc"));
        assert!(!is_new_enough("gcc (Debian 14.2.0) 14.2.0"));
    }

    #[test]
    fn a_program_that_is_not_there_limits_building_only() {
        let check = version("cargo", Path::new("/nonexistent/cargo"));
        assert_eq!(check.state, crate::doctor::State::Limited);
        assert!(check.advice.unwrap().contains("rustup"));
    }
}
