//! The generated site: complete, consistent, and linked to nothing that is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Client;
use crate::site::{File, Target};
use crate::{Coding, SITE};

/// Every path that leads to a file.
fn files() -> BTreeMap<&'static str, &'static File> {
    let file = |target| match target {
        Target::File(file) => Some(file),
        Target::Redirect(_) => None,
    };
    SITE.routes.iter().filter_map(|route| Some((route.path, file(route.target)?))).collect()
}

fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    let html = |file: &&File| file.content_type == "text/html; charset=utf-8";
    files()
        .into_iter()
        .filter(move |(_, file)| html(file))
        .map(|(path, file)| (path, core::str::from_utf8(file.identity.body).expect("pages are UTF-8")))
}

/// Values of an attribute in a page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn paths_are_sorted_so_that_each_is_found() {
    assert!(SITE.routes.is_sorted_by(|left, right| left.path.as_bytes() < right.path.as_bytes()));
    for route in SITE.routes {
        assert!(SITE.find(route.path.as_bytes()).is_some(), "{}", route.path);
    }
    assert!(SITE.find(b"").is_none() && SITE.find(b"/nothing").is_none() && SITE.find(b"\xff").is_none());
}

#[test]
fn the_site_has_its_parts() {
    let files = files();
    for path in [
        "/",
        "/index.html",
        "/print.html",
        "/404.html",
        "/style.css",
        "/logo.svg",
        "/favicon.ico",
        "/icon.png",
    ] {
        assert!(files.contains_key(path), "{path}");
    }
    assert!(core::ptr::eq(files["/"], files["/index.html"]));
    assert!(SITE.not_found.is_some_and(|file| core::ptr::eq(file, files["/404.html"])));
    assert_eq!(files["/favicon.ico"].identity.body.get(..6), Some(&[0, 0, 1, 0, 1, 0][..]));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["README", "ARCHITECTURE", "SPECIFICATION", "GLOSSARY"] {
        let is_page = files.contains_key(format!("/{}.html", name.to_lowercase()).as_str());
        assert_eq!(is_page, root.join(name).with_extension("md").exists(), "{name}");
    }
}

#[test]
fn content_types_follow_the_names() {
    let files = files();
    let table = [
        ("/index.html", "text/html; charset=utf-8", true),
        ("/style.css", "text/css; charset=utf-8", false),
        ("/logo.svg", "image/svg+xml", true),
        ("/favicon.ico", "image/x-icon", false),
        ("/icon.png", "image/png", false),
    ];
    for (path, content_type, is_document) in table {
        assert_eq!(
            (files[path].content_type, files[path].is_document),
            (content_type, is_document),
            "{path}"
        );
    }
}

#[test]
fn internal_links_lead_to_files_and_places_that_exist() {
    let files = files();
    let places: BTreeMap<&str, BTreeSet<&str>> =
        pages().map(|(path, page)| (path, attributes(page, "id").into_iter().collect())).collect();
    let mut checked = 0;
    for (path, page) in pages() {
        for address in [attributes(page, "href"), attributes(page, "src")].concat() {
            if address.starts_with("https://")
                || address.starts_with("http://")
                || address.starts_with("mailto:")
            {
                continue;
            }
            let (target, fragment) = address.split_once('#').unwrap_or((address, ""));
            let target = match target {
                "" => path.to_owned(),
                absolute if absolute.starts_with('/') => absolute.to_owned(),
                relative => format!("/{relative}"),
            };
            assert!(files.contains_key(target.as_str()), "{path} links to {address}");
            let is_place = fragment.is_empty() || places[target.as_str()].contains(fragment);
            assert!(is_place, "{path} links to {address}, a place that does not exist");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} links were found");
}

#[test]
fn pages_keep_to_their_own_policy() {
    for (path, page) in pages() {
        assert!(
            !page.contains("<script") && !page.contains(" style=\"") && !page.contains("<style"),
            "{path}"
        );
        assert!(!page.contains("{{"), "{path} has a placeholder left");
        for address in attributes(page, "src") {
            assert!(address.starts_with('/'), "{path} loads {address}");
        }
    }
}

#[test]
fn variants_are_smaller_and_tags_name_one_body_each() {
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for (path, file) in files() {
        assert_eq!(file.identity.coding, Coding::Identity);
        for variant in core::iter::once(&file.identity).chain(file.compressed) {
            let tag = variant.etag;
            assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
            assert_eq!(
                *bodies.entry(tag).or_insert(variant.body),
                variant.body,
                "{path}: {tag} names two bodies"
            );
        }
        assert!(
            file.compressed.iter().all(|variant| variant.body.len() < file.identity.body.len()),
            "{path}"
        );
    }
    assert_eq!(files()["/style.css"].compressed.len(), 2);
    assert!(files()["/icon.png"].compressed.is_empty());
}

#[test]
fn tags_depend_on_nothing_but_the_bytes() {
    use sha2::Digest as _;
    for (path, file) in files() {
        for variant in core::iter::once(&file.identity).chain(file.compressed) {
            let digest = sha2::Sha256::digest(variant.body);
            let expected: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(variant.etag.trim_matches('"'), expected, "{path}");
        }
    }
}

#[test]
fn compressed_variants_hold_the_file() {
    use std::io::Read as _;
    for (path, file) in files() {
        for variant in file.compressed {
            let mut body = Vec::new();
            match variant.coding {
                Coding::Identity => panic!("{path} has its identity twice"),
                Coding::Gzip => {
                    flate2::read::GzDecoder::new(variant.body).read_to_end(&mut body).unwrap();
                }
                Coding::Brotli => brotli::BrotliDecompress(&mut &*variant.body, &mut body).unwrap(),
            }
            assert_eq!(body, file.identity.body, "{path} as {}", variant.coding.token());
        }
    }
}

#[test]
fn every_file_arrives_whole_in_every_coding() {
    for (path, file) in files() {
        for variant in core::iter::once(&file.identity).chain(file.compressed) {
            let coding = variant.coding.token();
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n\r\n");
            let answers = Client { site: &SITE, ..Client::new(request) }.run().answers();
            assert_eq!((answers[0].code, &answers[0].body[..]), (200, variant.body), "{path} as {coding}");
            assert_eq!(answers[0].field("ETag"), Some(variant.etag));
        }
    }
}
