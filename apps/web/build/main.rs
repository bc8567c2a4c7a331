//! Bakes a site into the image.
//!
//! The site is the directory in `RINGWALL_SITE` (relative to the workspace root), or else the project's own documentation.
//! Each file gets its content type, its compressed variants and their entity tags here; `src/lib.rs` includes the table that
//! comes out. The same input gives the same output, byte for byte.
//!
//! Other variables: `RINGWALL_CSP` replaces the `Content-Security-Policy` of documents; `SOURCE_DATE_EPOCH` becomes
//! `Last-Modified`, which is left out without it.

mod collect;
#[path = "../src/date.rs"]
mod date;
mod icon;
mod markdown;
mod pages;
mod table;
mod variants;

use std::error::Error;
use std::path::{Path, PathBuf};

/// Every file of a site by its path below the root, without a leading slash. Sorted, so that the output is.
type Files = std::collections::BTreeMap<String, Vec<u8>>;

/// The documentation has no scripts, no frames and nothing from elsewhere.
const POLICY_OF_DOCUMENTATION: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
/// A site that this project does not know may bring scripts and styles, as long as they are its own.
const POLICY_OF_OTHERS: &str = "default-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; base-uri 'self'; \
    frame-ancestors 'self'";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let package = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let root = package.join("../..");
    let (files, policy) = match variable("RINGWALL_SITE") {
        Some(directory) => (collect::directory(&root.join(directory))?, POLICY_OF_OTHERS),
        None => (pages::documentation(&root, &package.join("site"))?, POLICY_OF_DOCUMENTATION),
    };
    let policy = variable("RINGWALL_CSP").unwrap_or_else(|| policy.to_owned());
    if !policy.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("RINGWALL_CSP is not one line of ASCII".into());
    }
    let last_modified = match variable("SOURCE_DATE_EPOCH") {
        Some(seconds) => {
            let seconds = seconds.parse().map_err(|_| "SOURCE_DATE_EPOCH is not a number of seconds")?;
            Some(String::from_utf8(date::http_date(seconds).to_vec())?)
        }
        None => None,
    };
    table::write(Path::new(&std::env::var("OUT_DIR")?), &files, &policy, last_modified.as_deref())
}

/// A variable that the output depends on; an empty one counts as absent.
fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
