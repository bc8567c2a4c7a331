//! Which compiler and linker a build uses.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::BuildError;

/// The compiler, as its report names it, and the linker that comes with it.
#[derive(Clone, Debug)]
pub(super) struct Toolchain {
    /// `rustc --version`'s version, such as `1.95.0`.
    pub(super) release: String,
    /// The compiler's commit.
    pub(super) commit: String,
    /// Path of `rust-lld`.
    pub(super) linker: PathBuf,
}

/// Asks the compiler that cargo uses in `folder`.
pub(super) fn find(folder: &Path, bin: &str) -> Result<Toolchain, BuildError> {
    let fail = |reason| BuildError::NoLinker { bin: bin.to_owned(), reason };
    let version = rustc(folder, "-vV").map_err(fail)?;
    let sysroot = rustc(folder, "--print=sysroot").map_err(fail)?;
    let field =
        |name| version.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let host = field("host:");
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(&host).join("bin/rust-lld");
    if !linker.is_file() {
        return Err(fail(format!("there is no {}", linker.display())));
    }
    Ok(Toolchain { release: field("release:"), commit: field("commit-hash:"), linker })
}

fn rustc(folder: &Path, argument: &str) -> Result<String, String> {
    let program = std::env::var_os("RUSTC").filter(|program| !program.is_empty()).unwrap_or("rustc".into());
    let output = Command::new(&program).arg(argument).current_dir(folder).output();
    let output = output.map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("`{} {argument}` fails", program.display()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{} {argument}` is not text", program.display()))
}
