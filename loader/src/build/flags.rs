//! The hardened flags, each with what it is for.
//!
//! They reach rustc through `CARGO_ENCODED_RUSTFLAGS` and cargo through `CARGO_PROFILE_RELEASE_*`, so a crate anywhere on
//! disk is built like one of this workspace, whatever its own profile says. Because the build names its target, they do not
//! touch build scripts and procedural macros, which run on the host.

use std::path::{Path, PathBuf};

/// The one target: Rust's own prebuilt `core` and `alloc` for it are all an appliance needs.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Release profile of every appliance.
const PROFILE: [(&str, &str); 8] = [
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"), // nothing unwinds: a panic is reported and ends the guest
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),     // what is not used is not in the image, `core` included
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"), // a wrapped length is a panic, not a hole
    ("CARGO_PROFILE_RELEASE_DEBUG", "full"),           // for the symbol side file; never in the image
    ("CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO", "off"),  // ... which is one file
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),           // sealing strips, after the side file is saved
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
];

/// The part of the profile that a person may set for a build: small, as most code of an appliance runs once or waits.
const OPT_LEVEL: (&str, &str) = ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s");

/// The profile as it is for this build.
pub(super) fn profile() -> Vec<(&'static str, String)> {
    let level = std::env::var(OPT_LEVEL.0).unwrap_or_else(|_| OPT_LEVEL.1.to_owned());
    let fixed = PROFILE.iter().map(|&(name, value)| (name, value.to_owned()));
    fixed.chain([(OPT_LEVEL.0, level)]).collect()
}

/// What every packet goes through is optimised for speed whatever the rest is.
pub(super) const HOT: [&str; 1] = ["profile.release.package.smoltcp.opt-level=3"];

/// Flags for rustc.
///
/// Cargo's last step only gathers all code of the appliance in one relocatable file; the image is linked from that
/// ([`super::link`]), so that another order of functions needs no compiler.
pub(super) const RUSTC: [&str; 11] = [
    "--cfg=ringwall_image", // opens the guest library's entry, gate and panic handler
    "--check-cfg=cfg(ringwall_image)", // ... which crates may ask about
    "-Cforce-frame-pointers=yes", // the fault report walks RBP
    "-Cpanic=abort",        // as in the profile; cargo asks rustc about the flags without its profile
    "-Cforce-unwind-tables=no", // nothing unwinds
    "-Crelocation-model=pie", // movable
    "-Crelro-level=off", // the image's own link has it in full; there is nothing to protect in a relocatable file
    "-Clink-arg=-nostartfiles", // the guest library has the entry
    "-Clink-arg=-nostdlib", // no libc, no libgcc: a call into one is an error in the image's link
    "-Clink-arg=-no-pie", // rustc asks for a program; with `-r` it cannot be one
    "-Clink-arg=-Wl,-r,--no-gc-sections", // one relocatable file; what is unused is dropped later
];

/// Folders of this machine that may show in paths inside the program, and what stands there instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathMap {
    entries: Vec<(PathBuf, String)>,
}

impl PathMap {
    /// Puts `shown` in place of `folder`. Of several entries that match a path the longest wins, whatever the order.
    pub(super) fn add(&mut self, folder: impl Into<PathBuf>, shown: impl Into<String>) {
        let (folder, shown) = (folder.into(), shown.into());
        // A compiler that works in the folder knows it without links.
        if let Ok(real) = folder.canonicalize()
            && real != folder
        {
            self.entries.push((real, shown.clone()));
        }
        self.entries.push((folder, shown));
    }

    /// A path as the compiler shows it.
    pub(super) fn shown(&self, path: &Path) -> String {
        let matching = self
            .entries
            .iter()
            .rev()
            .filter_map(|(folder, shown)| Some((path.strip_prefix(folder).ok()?, shown)));
        match matching.min_by_key(|(rest, _)| rest.components().count()) {
            Some((rest, shown)) => Path::new(shown).join(rest).display().to_string(),
            None => path.display().to_string(),
        }
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
