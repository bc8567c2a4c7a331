//! Request fields that choose between answers.

use super::machine::{Answer, Client, DATA, DATED, SITE};
use crate::Site;

fn get(site: &'static Site, path: &str, fields: &[&str]) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{}\r\n\r\n", fields.join("\r\n"));
    let request = request.replace("h\r\n\r\n\r\n", "h\r\n\r\n");
    let mut answers = Client { site, ..Client::new(request) }.run().answers();
    assert_eq!(answers.len(), 1, "{path} {fields:?}");
    answers.remove(0)
}

#[test]
fn tags_are_compared_with_the_variant_that_would_be_sent() {
    let table: &[(&[&str], u16)] = &[
        (&["If-None-Match: \"page\""], 304),
        (&["If-None-Match: W/\"page\""], 304),
        (&["If-None-Match: *"], 304),
        (&["If-None-Match: \"a\", \"page\" , \"b\""], 304),
        (&["If-None-Match: \"a\"", "If-None-Match: \"page\""], 304),
        (&["If-None-Match: \"a,page\""], 200),
        (&["If-None-Match: \"page-br\""], 200),
        (&["If-None-Match: page"], 200),
        (&["If-None-Match:"], 200),
        (&["If-None-Match: \"page\"", "Accept-Encoding: br"], 200),
        (&["If-None-Match: \"page-br\"", "Accept-Encoding: br"], 304),
        (&["If-Match: \"page\""], 200),
        (&["If-Match: *"], 200),
        (&["If-Match: W/\"page\""], 412),
        (&["If-Match: \"other\""], 412),
        (&["If-Match: \"page\"", "If-None-Match: \"page\""], 304),
        (&["If-Match: \"other\"", "If-None-Match: \"page\""], 412),
        (&["If-None-Match: \"page\"", "Range: bytes=0-0"], 304),
    ];
    for (fields, code) in table {
        assert_eq!(get(&SITE, "/", fields).code, *code, "{fields:?}");
    }
}

#[test]
fn dates_count_only_for_a_site_that_has_one() {
    let ours = "Sat, 05 Nov 1994 00:00:00 GMT";
    let other = "Sat, 05 Nov 1994 00:00:01 GMT";
    let table: &[(&[String], u16, u16)] = &[
        (&[format!("If-Modified-Since: {ours}")], 304, 200),
        (&[format!("If-Modified-Since: {other}")], 200, 200),
        (&[format!("If-Modified-Since: {ours}"), "If-None-Match: \"x\"".into()], 200, 200),
        (&[format!("If-Unmodified-Since: {ours}")], 200, 200),
        (&[format!("If-Unmodified-Since: {other}")], 412, 200),
        (&[format!("If-Range: {ours}"), "Range: bytes=0-0".into()], 206, 200),
        (&[format!("If-Range: {other}"), "Range: bytes=0-0".into()], 200, 200),
    ];
    for (fields, dated, undated) in table {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(get(&DATED, "/", &fields).code, *dated, "{fields:?}");
        assert_eq!(get(&SITE, "/", &fields).code, *undated, "{fields:?}");
    }
    assert_eq!(get(&DATED, "/", &[]).field("Last-Modified"), Some(ours));
    assert_eq!(get(&SITE, "/", &[]).field("Last-Modified"), None);
}

#[test]
fn ranges_cut_the_body_exactly() {
    let table: &[(&str, core::ops::Range<usize>)] = &[
        ("bytes=0-0", 0..1),
        ("bytes=0-4999", 0..5000),
        ("bytes=4999-", 4999..5000),
        ("bytes=-1", 4999..5000),
        ("bytes=-9999", 0..5000),
        ("bytes=1000-3999", 1000..4000),
        ("bytes=4000-9999", 4000..5000),
    ];
    for (range, expected) in table {
        let answer = get(&SITE, "/data.bin", &[&format!("Range: {range}")]);
        assert_eq!((answer.code, &answer.body[..]), (206, &DATA[expected.clone()]), "{range}");
        let content_range = format!("bytes {}-{}/5000", expected.start, expected.end - 1);
        assert_eq!(answer.field("Content-Range"), Some(content_range.as_str()), "{range}");
    }
}

#[test]
fn a_range_that_is_not_one_part_gets_everything() {
    for fields in
        [&["Range: bytes=0-0,2-2"][..], &["Range: lines=1-2"], &["Range: bytes=0-0", "Range: bytes=1-1"]]
    {
        let answer = get(&SITE, "/data.bin", fields);
        assert_eq!((answer.code, &answer.body[..]), (200, &DATA[..]), "{fields:?}");
    }
    assert_eq!(get(&SITE, "/empty", &["Range: bytes=0-"]).code, 416);
    assert_eq!(get(&SITE, "/empty", &[]).code, 200);
}

#[test]
fn if_range_wants_the_very_variant() {
    let table: &[(&[&str], u16)] = &[
        (&["If-Range: \"data\""], 206),
        (&["If-Range: W/\"data\""], 200),
        (&["If-Range: \"old\""], 200),
        (&["If-Range: \"data\"", "If-Range: \"data\""], 200),
    ];
    for (fields, code) in table {
        let fields = [&["Range: bytes=0-9"], *fields].concat();
        assert_eq!(get(&SITE, "/data.bin", &fields).code, *code, "{fields:?}");
    }
    let fields = ["Range: bytes=0-0", "If-Range: \"page-gz\"", "Accept-Encoding: gzip"];
    let answer = get(&SITE, "/", &fields);
    assert_eq!((answer.code, &answer.body[..]), (206, &b"G"[..]));
    assert_eq!(answer.field("Content-Encoding"), Some("gzip"));
}

#[test]
fn head_ignores_ranges() {
    let outcome = Client::new("HEAD /data.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\n\r\n").run();
    assert!(outcome.text().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(outcome.text().ends_with("Content-Length: 5000\r\n\r\n"));
}

#[test]
fn only_files_with_variants_vary() {
    assert_eq!(get(&SITE, "/", &["Accept-Encoding: gzip;q=0"]).field("Vary"), Some("Accept-Encoding"));
    assert_eq!(get(&SITE, "/data.bin", &["Accept-Encoding: gzip"]).field("Vary"), None);
}
