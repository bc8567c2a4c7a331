//! The site as Rust source: the table that `src/site.rs` describes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use crate::Files;
use crate::variants::{Variant, compressed, content_type};

/// Writes `site.rs`, and the bodies it includes, into `out`.
pub(crate) fn write(
    out: &Path,
    files: &Files,
    policy: &str,
    last_modified: Option<&str>,
) -> Result<(), Box<dyn Error>> {
    let bodies = out.join("bodies");
    if bodies.exists() {
        std::fs::remove_dir_all(&bodies)?;
    }
    std::fs::create_dir_all(&bodies)?;
    let mut source = String::new();
    for (index, (path, body)) in files.iter().enumerate() {
        let content_type = content_type(path);
        let is_document =
            ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"]
                .iter()
                .any(|kind| content_type.starts_with(kind));
        let variant = |variant: &Variant| -> Result<String, std::io::Error> {
            let name = format!("{index}.{}", variant.coding.to_lowercase());
            std::fs::write(bodies.join(&name), &variant.body)?;
            Ok(format!(
                "site::Variant {{ coding: Coding::{}, etag: \"\\\"{}\\\"\", \
                 body: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/bodies/{name}\")) }}",
                variant.coding, variant.etag
            ))
        };
        let identity = variant(&Variant::new("Identity", body.clone()))?;
        let others =
            compressed(&content_type, body)?.iter().map(variant).collect::<Result<Vec<_>, _>>()?.join(", ");
        writeln!(
            source,
            "// {path:?}\nstatic FILE_{index}: site::File = site::File {{ content_type: {content_type:?}, \
             is_document: {is_document}, identity: {identity}, compressed: &[{others}] }};"
        )?;
    }
    let not_found = files.keys().position(|path| path == "404.html");
    let not_found = not_found.map_or("None".to_owned(), |index| format!("Some(&FILE_{index})"));
    writeln!(source, "/// The site that this image serves.\npub static SITE: Site = Site {{")?;
    writeln!(
        source,
        "not_found: {not_found}, policy: {policy:?}, last_modified: {last_modified:?}, routes: &["
    )?;
    for (path, target) in routes(files) {
        writeln!(source, "site::Route {{ path: {path:?}, target: site::Target::{target} }},")?;
    }
    writeln!(source, "] }};")?;
    std::fs::write(out.join("site.rs"), source)?;
    Ok(())
}

/// Every path with an answer: each file, and for each `index.html` its directory with and without the slash. A file that
/// has the name of such a directory is not possible in a file system.
fn routes(files: &Files) -> BTreeMap<String, String> {
    let mut routes = BTreeMap::new();
    for (index, path) in files.keys().enumerate() {
        let target = format!("File(&FILE_{index})");
        routes.insert(format!("/{path}"), target.clone());
        let Some(directory) = path.strip_suffix("index.html") else { continue };
        if directory.is_empty() || directory.ends_with('/') {
            routes.insert(format!("/{directory}"), target);
        }
        if let Some(bare) = directory.strip_suffix('/') {
            routes.insert(format!("/{bare}"), format!("Redirect({:?})", escaped(&format!("/{directory}"))));
        }
    }
    routes
}

/// A path as it may stand in a `Location` field.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
