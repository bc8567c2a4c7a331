//! `ringwall new`: a crate that is an appliance, anywhere on disk.
//!
//! The crate finds the guest library at `.ringwall`, a link into a folder of this user's data ([`library`]). So nothing of the library
//! is copied into the crate, the crate holds no path of one machine, and no network is needed for it.

mod error;
pub(crate) mod library;

use std::fs;
use std::path::{Path, PathBuf};

pub use error::NewError;

/// Name of the link in a crate folder.
const LINK: &str = ".ringwall";
/// Longest name: the manifest has room for so many bytes.
const MAX_NAME_BYTES: usize = 32;

/// The files of a new crate. `@NAME@` stands for its name, `@LIB@` for its name in Rust.
const TEMPLATE: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", "/target\n/.ringwall\n"),
    ("src/lib.rs", include_str!("template/src/lib.rs.in")),
    ("src/main.rs", include_str!("template/src/main.rs.in")),
];

/// Makes a crate in the folder `path`, which must not exist yet. Its last component becomes the crate's name, unless `name` is given.
///
/// # Errors
/// [`NewError`]: the name is none for a crate, the folder exists, or files cannot be written.
pub fn create(path: &Path, name: Option<&str>) -> Result<PathBuf, NewError> {
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.map(str::to_owned).or(own).ok_or_else(|| NewError::NoName { path: path.to_owned() })?;
    check(&name)?;
    if path.symlink_metadata().is_ok() {
        return Err(NewError::Exists { path: path.to_owned() });
    }
    let library = library::unpack()?;
    for (file, content) in TEMPLATE.into_iter().chain([library::toolchain_file()]) {
        let content = content.replace("@NAME@", &name).replace("@LIB@", &name.replace('-', "_"));
        write(&path.join(file), &content)?;
    }
    library::link(path, &library)?;
    Ok(path.to_owned())
}

/// Gives a crate that wants it the link to the guest library: one that was cloned on another machine has none yet, and one that was
/// last built by another version of this program has an old one.
pub(crate) fn prepare(folder: &Path) -> Result<(), NewError> {
    let wants =
        fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("\".ringwall/guest\""));
    if !wants || folder.join(LINK).symlink_metadata().is_ok_and(|found| !found.is_symlink()) {
        return Ok(()); // a library of its own, or in a folder of its own
    }
    library::link(folder, &library::unpack()?)
}

fn write(path: &Path, content: &str) -> Result<(), NewError> {
    let fail = |source| NewError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    fs::write(path, content).map_err(fail)
}

/// Whether cargo takes the name for a crate, and the crate can have an image of that name.
fn check(name: &str) -> Result<(), NewError> {
    let fail = |reason| Err(NewError::BadName { name: name.to_owned(), reason });
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return fail("it begins with a letter a to z");
    }
    if !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')) {
        return fail("it consists of a to z, 0 to 9, `-` and `_`");
    }
    if name.len() > MAX_NAME_BYTES {
        return fail("it has at most 32 characters");
    }
    if TAKEN.contains(&name) {
        return fail("that one has a meaning of its own in Rust or here");
    }
    Ok(())
}

/// Keywords, and crates that an appliance has already.
const TAKEN: [&str; 50] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "fn", "for", "gen", "guest", "hvcall", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
    "static", "std", "struct", "super", "test", "trait", "true", "try", "type", "unsafe", "use", "where",
    "while",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_and_the_manifest_take() {
        for good in ["a", "web-2", "my_app", &"x".repeat(32)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "2web", "Web", "a b", "a/b", "..", "fn", "core", "guest", &"x".repeat(33)] {
            assert!(matches!(check(bad), Err(NewError::BadName { .. })), "{bad}");
        }
    }
}
