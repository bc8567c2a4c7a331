//! Each kind of answer, to the byte.

use super::machine::{Client, DATA, DATED};

const COMMON: &str =
    "Server: ringwall\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Content-Type-Options: nosniff\r\n";
const PAGE_FIELDS: &str = "Cache-Control: no-cache\r\nETag: \"page\"\r\nVary: Accept-Encoding\r\nAccept-Ranges: bytes\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: POLICY\r\nReferrer-Policy: no-referrer\r\n";

fn answer(request: &str) -> String {
    Client::new(request).run().text()
}

fn error(line: &str, fields: &str) -> String {
    let length = line.len() + 1;
    format!(
        "HTTP/1.1 {line}\r\n{COMMON}{fields}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{line}\n"
    )
}

#[test]
fn get_sends_the_file() {
    let expected =
        format!("HTTP/1.1 200 OK\r\n{COMMON}{PAGE_FIELDS}Content-Length: 20\r\n\r\n<p>Hello, hello</p>\n");
    assert_eq!(answer("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
    assert_eq!(answer("GET /?query=1 HTTP/1.1\r\nhost: h\r\n\r\n"), expected);
    assert_eq!(answer("GET http://other/ HTTP/1.1\r\nHOST: h\r\n\r\n"), expected);
    assert_eq!(answer("\r\n\r\nGET /%61%20b/ HTTP/1.1\r\nHost:\r\n\r\n"), expected);
    assert_eq!(answer("GET / HTTP/1.1\nHost: h\n\n"), expected);
}

#[test]
fn head_sends_the_same_without_the_body() {
    let expected = format!("HTTP/1.1 200 OK\r\n{COMMON}{PAGE_FIELDS}Content-Length: 20\r\n\r\n");
    assert_eq!(answer("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
    let expected = error("404 Not Found", "");
    let expected = expected.strip_suffix("404 Not Found\n").unwrap();
    assert_eq!(answer("HEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
}

#[test]
fn a_large_body_is_written_from_where_it_lies() {
    let outcome = Client::new("GET /data.bin HTTP/1.1\r\nHost: h\r\n\r\n").run();
    assert_eq!(outcome.writes.len(), 2);
    assert_eq!(outcome.writes[1], DATA);
    let small = Client::new("GET / HTTP/1.1\r\nHost: h\r\n\r\n").run();
    assert_eq!(small.writes.len(), 1);
}

#[test]
fn a_compressed_variant_says_so_and_has_its_own_tag() {
    let expected = format!(
        "HTTP/1.1 200 OK\r\n{COMMON}Cache-Control: no-cache\r\nETag: \"page-br\"\r\nVary: Accept-Encoding\r\n\
         Accept-Ranges: bytes\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: br\r\n\
         Content-Security-Policy: POLICY\r\nReferrer-Policy: no-referrer\r\nContent-Length: 2\r\n\r\nBR"
    );
    assert_eq!(answer("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip, br\r\n\r\n"), expected);
}

#[test]
fn a_known_tag_gets_304_without_content_fields() {
    let expected = format!(
        "HTTP/1.1 304 Not Modified\r\n{COMMON}Cache-Control: no-cache\r\nETag: \"page\"\r\nVary: Accept-Encoding\r\n\r\n"
    );
    assert_eq!(answer("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"page\"\r\n\r\n"), expected);
}

#[test]
fn a_range_gets_206() {
    let expected = format!(
        "HTTP/1.1 206 Partial Content\r\n{COMMON}{PAGE_FIELDS}Content-Range: bytes 3-7/20\r\nContent-Length: 5\r\n\r\nHello"
    );
    assert_eq!(answer("GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=3-7\r\n\r\n"), expected);
}

#[test]
fn a_range_behind_the_end_gets_416() {
    let expected = error("416 Range Not Satisfiable", "Content-Range: bytes */20\r\n");
    assert_eq!(answer("GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=20-\r\n\r\n"), expected);
}

#[test]
fn a_directory_without_its_slash_redirects() {
    let expected = error("301 Moved Permanently", "Location: /a%20b/?x=/../y\r\n");
    assert_eq!(answer("GET /a%20b?x=/../y HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
}

#[test]
fn other_methods_are_refused_and_the_connection_lives() {
    let refused = error("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let two = format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n").repeat(2);
        assert_eq!(answer(&two), refused.repeat(2), "{method}");
    }
    assert_eq!(answer("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), refused);
    assert_eq!(answer("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), refused);
    assert_eq!(answer("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), error("501 Not Implemented", ""));
    assert_eq!(answer("get / HTTP/1.1\r\nHost: h\r\n\r\n"), error("501 Not Implemented", ""));
}

#[test]
fn a_missing_path_gets_the_sites_own_page_if_it_has_one() {
    assert_eq!(answer("GET /x HTTP/1.1\r\nHost: h\r\n\r\n"), error("404 Not Found", ""));
    let expected = format!(
        "HTTP/1.1 404 Not Found\r\n{COMMON}Accept-Ranges: bytes\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Security-Policy: POLICY\r\nReferrer-Policy: no-referrer\r\nContent-Length: 12\r\n\r\n<p>Gone</p>\n"
    );
    let request = "GET /x HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\nIf-None-Match: *\r\n\r\n";
    assert_eq!(Client { site: &DATED, ..Client::new(request) }.run().text(), expected);
}

#[test]
fn bad_paths_are_refused_without_a_look_at_the_site() {
    for path in ["/../etc/passwd", "/%2e%2e/", "/a/./b", "/%00", "/%", "/%zz", "/a#b", "x", "ftp://h/"] {
        let answer = answer(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer, error("400 Bad Request", ""), "{path}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1024));
    assert_eq!(answer(&long), error("414 URI Too Long", ""));
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let close = "Connection: close\r\n";
    let table: &[(&str, &str)] = &[
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", "400 Bad Request"),
        ("GET /\r\n\r\n", "400 Bad Request"),
        ("GET / FTP/1.1\r\n\r\n", "400 Bad Request"),
        ("\x16\x03\x01\x02", "400 Bad Request"),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 HTTP Version Not Supported"),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505 HTTP Version Not Supported"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported"),
    ];
    for (request, line) in table {
        let answer = answer(&format!("{request}GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer, error(line, close), "{request:?}");
    }
}

#[test]
fn heads_of_eight_kib_pass_and_longer_ones_do_not() {
    let request =
        |value_bytes: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(value_bytes));
    let fixed_bytes = request(0).len();
    assert_eq!(Client::new(request(8192 - fixed_bytes)).run().codes(), [200]);
    let too_large = error("431 Request Header Fields Too Large", "Connection: close\r\n");
    assert_eq!(answer(&request(8193 - fixed_bytes)), too_large);
    assert_eq!(answer(&request(1_000_000)), too_large);
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9000));
    assert_eq!(answer(&long_line), error("414 URI Too Long", "Connection: close\r\n"));
}

#[test]
fn sixty_four_fields_pass_and_more_do_not() {
    let request =
        |fields: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
    assert_eq!(Client::new(request(64)).run().codes(), [200]);
    assert_eq!(Client::new(request(65)).run().codes(), [431]);
}
