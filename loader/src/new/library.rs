//! The guest library's sources, which this program holds, and their place among this user's data.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{LINK, NewError};

include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// The toolchain that the library and this program are tested with, as a file for a crate.
pub(super) fn toolchain_file() -> (&'static str, &'static str) {
    let is_it = |(name, _): &&(&'static str, &'static str)| *name == "rust-toolchain.toml";
    FILES.iter().find(is_it).copied().unwrap_or(("rust-toolchain.toml", ""))
}

/// Writes the library to its place, unless it is there, and returns that: a folder of its own for each version and content.
pub(super) fn unpack() -> Result<PathBuf, NewError> {
    let place = data_folder()?.join(format!("library-{}-{DIGEST}", env!("CARGO_PKG_VERSION")));
    if place.is_dir() {
        return Ok(place);
    }
    // Under another name first: the folder appears complete or not at all.
    let temporary = place.with_extension(format!("{}.tmp", std::process::id()));
    for (file, content) in FILES {
        super::write(&temporary.join(file), content)?;
    }
    match fs::rename(&temporary, &place) {
        Ok(()) => Ok(place),
        Err(source) => {
            // Another process may have been faster; then its folder is as good. What is left of this one's is of no use.
            let _ = fs::remove_dir_all(&temporary);
            if place.is_dir() { Ok(place) } else { Err(NewError::Write { path: place, source }) }
        }
    }
}

/// Makes the crate's link lead to the library.
pub(super) fn link(crate_folder: &Path, library: &Path) -> Result<(), NewError> {
    let path = crate_folder.join(LINK);
    if fs::read_link(&path).is_ok_and(|target| target == library) {
        return Ok(());
    }
    let temporary = crate_folder.join(format!("{LINK}.{}.tmp", std::process::id()));
    let made = symlink(library, &temporary).and_then(|()| fs::rename(&temporary, &path));
    made.map_err(|source| NewError::Write { path, source })
}

fn data_folder() -> Result<PathBuf, NewError> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    Ok(data.ok_or(NewError::NoHome)?.join("ringwall"))
}
