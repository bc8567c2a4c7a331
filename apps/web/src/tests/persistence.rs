//! Which connections go on, and that nothing depends on how bytes are cut.

use core::time::Duration;

use super::machine::{Client, Step};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
/// Requests of every kind that leaves a connection open.
const MIXED: &str = "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n\
    GET /data.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=10-19\r\n\r\n\
    \r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /\
    GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"page\"\r\n\r\n\
    GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n\
    GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\
    GET /data.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

#[test]
fn every_split_of_the_requests_gives_the_same_answers() {
    let whole = Client::new(MIXED).run();
    assert_eq!(whole.codes(), [200, 206, 405, 304, 404, 200, 200]);
    for cut in 0..=MIXED.len() {
        let (first, second) = MIXED.as_bytes().split_at(cut);
        let script = vec![Step::Send(first.to_vec()), Step::Pause(1), Step::Send(second.to_vec())];
        assert_eq!(Client::with_script(script).run().bytes(), whole.bytes(), "cut at {cut}");
    }
    let singly = MIXED.bytes().map(|byte| Step::Send(vec![byte])).collect();
    assert_eq!(Client::with_script(singly).run().bytes(), whole.bytes());
}

#[test]
fn writes_of_any_size_give_the_same_answers() {
    let whole = Client::new(MIXED).run();
    for write_bytes in [1, 2, 7, 100, 1000] {
        assert_eq!(
            Client { write_bytes, ..Client::new(MIXED) }.run().bytes(),
            whole.bytes(),
            "{write_bytes}"
        );
    }
}

#[test]
fn ten_pipelined_requests_are_answered_in_one_write() {
    let one = Client::new(GET).run();
    let ten = Client::new(GET.repeat(10)).run();
    assert_eq!(ten.text(), one.text().repeat(10));
    assert_eq!(ten.writes.len(), 1);
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_bounded_writes() {
    let outcome = Client::new(GET.repeat(1000)).run();
    assert_eq!(outcome.codes(), [200; 1000]);
    assert!(outcome.writes.iter().all(|write| write.len() < 20_000));
}

#[test]
fn close_and_http_1_0_end_the_connection() {
    let table: &[(&str, bool, Option<&str>)] = &[
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, None),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n", true, None),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false, Some("close")),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close , y\r\n\r\n", false, Some("close")),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: CLOSE\r\n\r\n", false, Some("close")),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true, None),
        ("GET / HTTP/1.0\r\n\r\n", false, Some("close")),
        ("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true, Some("keep-alive")),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, Some("close")),
    ];
    for (request, goes_on, connection) in table {
        let answers = Client::new(request.repeat(2)).run().answers();
        assert_eq!(answers.len(), if *goes_on { 2 } else { 1 }, "{request:?}");
        assert_eq!(answers[0].field("Connection"), *connection, "{request:?}");
    }
}

#[test]
fn request_bodies_are_thrown_away_up_to_a_limit() {
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}{GET}");
    let table: &[(String, &[u16])] = &[
        (post("Content-Length: 0", ""), &[405, 200]),
        (post("Content-Length: 00005", "abcde"), &[405, 200]),
        (post("Content-Length: 65536", &"x".repeat(65536)), &[405, 200]),
        (post("Content-Length: 65537", &"x".repeat(65537)), &[405]),
        (post("Content-Length: 99999999999999999999999999", ""), &[405]),
        (post("Transfer-Encoding: chunked", "0\r\n\r\n"), &[405]),
        (post("Expect: 100-continue\r\nContent-Length: 5", "abcde"), &[405]),
        (post("Expect: 100-continue", ""), &[405, 200]),
        (GET.replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc") + GET, &[200, 200]),
    ];
    for (requests, codes) in table {
        let shown = &requests[..requests.len().min(100)];
        assert_eq!(Client::new(requests).run().codes(), *codes, "{shown:?}");
    }
}

#[test]
fn requests_that_two_readers_could_cut_differently_are_refused() {
    let table: &[(&str, u16)] = &[
        ("Content-Length: 1\r\nContent-Length: 1", 400),
        ("Content-Length: 1, 1", 400),
        ("Content-Length: +1", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 0x1", 400),
        ("Content-Length:", 400),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 501),
        ("Expect: the-unexpected", 417),
    ];
    for (fields, code) in table {
        let requests = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{GET}");
        assert_eq!(Client::new(requests).run().codes(), [*code], "{fields:?}");
    }
    let old = format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{GET}");
    assert_eq!(Client::new(old).run().codes(), [400]);
}

#[test]
fn the_answer_comes_before_the_rest_of_a_body_is_awaited() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab".to_vec();
    let script = vec![Step::Send(head), Step::Pause(20)];
    let outcome = Client::with_script(script).run();
    assert_eq!(outcome.codes(), [405]);
    assert_eq!(outcome.ended_at, Duration::from_secs(10));
}
