//! The hardened flags, each with what it is for.
//!
//! They reach rustc through `CARGO_ENCODED_RUSTFLAGS` and cargo through `CARGO_PROFILE_RELEASE_*`, so a crate anywhere on
//! disk is built like one of this workspace, whatever its own profile says. Because the build names its target, they do not
//! touch build scripts and procedural macros, which run on the host.

use std::path::{Path, PathBuf};

/// The one target: Rust's own prebuilt `core` and `alloc` for it are all an appliance needs.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Release profile of every appliance. The optimisation level stays the crate's own choice.
pub(super) const PROFILE: [(&str, &str); 8] = [
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"), // nothing unwinds: a panic is reported and ends the guest
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),     // what is not used is not in the image, `core` included
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"), // a wrapped length is a panic, not a hole
    ("CARGO_PROFILE_RELEASE_DEBUG", "full"),           // for the symbol side file; never in the image
    ("CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO", "off"),  // ... which is one file
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),           // sealing strips, after the side file is saved
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
];

/// Flags for rustc.
const RUSTC: [&str; 14] = [
    "--cfg=ringwall_image", // opens the guest library's entry, gate and panic handler
    "--check-cfg=cfg(ringwall_image)", // ... which crates may ask about
    "-Cforce-frame-pointers=yes", // the fault report walks RBP
    "-Cpanic=abort",        // as in the profile; cargo asks rustc about the flags without its profile
    "-Cforce-unwind-tables=no", // nothing unwinds
    "-Ctarget-feature=+crt-static", // static ...
    "-Crelocation-model=pie", // ... and movable: rustc then links with -static-pie
    "-Crelro-level=full",   // relocated data becomes read-only
    "-Clink-arg=-nostartfiles", // the guest library has the entry
    "-Clink-arg=-nostdlib", // no libc, no libgcc: a call into one is a link error
    "-Clink-arg=-static-pie", // also where the host's compiler driver defaults to something else
    "-Clink-arg=-Wl,--no-dynamic-linker", // no PT_INTERP, no dynamic symbols
    "-Clink-arg=-Wl,--build-id=sha1", // pairs image and side file
    // No executable stack. Segments lie 64 KiB apart, so that unmapped pages separate them in the machine; in the file they follow each
    // other without padding, which costs nothing, because the loader maps no file page: it copies each segment's own bytes. A
    // program without `_start` links with entry 0, which sealing refuses.
    "-Clink-arg=-Wl,-z,noexecstack,-z,noseparate-code,-z,max-page-size=65536,-e,_start",
];

/// Folders of this machine that may show in paths inside the program, and what stands there instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathMap {
    entries: Vec<(PathBuf, String)>,
}

impl PathMap {
    /// Puts `shown` in place of `folder`. Of several entries that match a path the longest wins, whatever the order.
    pub(super) fn add(&mut self, folder: impl Into<PathBuf>, shown: impl Into<String>) {
        self.entries.push((folder.into(), shown.into()));
    }

    /// rustc takes the last entry that matches, so the most specific come last.
    fn flags(&self) -> impl Iterator<Item = String> {
        let mut sorted: Vec<_> = self.entries.iter().collect();
        sorted.sort_by_key(|(folder, _)| folder.components().count());
        sorted.into_iter().map(|(folder, shown)| format!("--remap-path-prefix={}={shown}", folder.display()))
    }
}

/// All flags, in the encoding of `CARGO_ENCODED_RUSTFLAGS`: separated by the unit separator, U+001F.
pub(super) fn encoded(paths: &PathMap) -> String {
    let mut flags: Vec<String> = RUSTC.iter().map(|&flag| flag.to_owned()).collect();
    flags.extend(paths.flags());
    flags.join("\u{1f}")
}

/// A folder from an environment variable, or its usual place under the home directory.
pub(super) fn tool_home(variable: &str, under_home: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(under_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_folder_comes_last() {
        let mut paths = PathMap::default();
        paths.add("/home/me/code/guest", "guest");
        paths.add("/home/me", "home");
        let encoded = encoded(&paths);
        let flags: Vec<&str> = encoded.split('\u{1f}').collect();
        assert_eq!(flags[..RUSTC.len()], RUSTC);
        assert_eq!(
            flags[RUSTC.len()..],
            ["--remap-path-prefix=/home/me=home", "--remap-path-prefix=/home/me/code/guest=guest"]
        );
    }
}
