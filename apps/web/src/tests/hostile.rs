//! Bytes that nobody meant as a request.

use super::machine::{Client, Step};

/// Requests that reach every branch of the parser; the mutations start from here.
const SEEDS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip;q=0.5, br;q=1.0, *;q=0\r\nConnection: keep-alive\r\n\r\n",
    "GET /data.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=10-19\r\nIf-Range: \"data\"\r\n\r\n",
    "HEAD http://host/a%20b?q HTTP/1.1\r\nHost: h\r\nIf-None-Match: W/\"a\", \"page\"\r\nIf-Match: *\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\nGET / HTTP/1",
    "PUT /%2e%2e/%00 HTTP/1.0\r\nTransfer-Encoding: chunked\r\nIf-Modified-Since: now\r\n\r\n0\r\n\r\n",
];
/// Bytes that mean something to the parser.
const SPECIAL: &[u8] = b"\r\n \t:;,=%/.?#*\"-0159\0\x7f\x80\xff";

fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=bytes.len());
        let byte = if random.bool() { SPECIAL[random.usize(0..SPECIAL.len())] } else { random.u8(..) };
        match random.u8(0..5) {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => bytes[at] = byte,
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let run = bytes[at..(at + random.usize(0..40)).min(bytes.len())].to_vec();
                bytes.splice(at..at, run);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
}

/// Cuts bytes into sends at random places.
fn script(bytes: &[u8], random: &mut fastrand::Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (first, second) = rest.split_at(random.usize(1..=rest.len()));
        steps.push(Step::Send(first.to_vec()));
        rest = second;
    }
    steps
}

#[test]
fn mutated_requests_get_whole_answers_or_none() {
    let mut random = fastrand::Rng::with_seed(0x52_49_4e_47);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> =
            (0..random.usize(1..4)).flat_map(|_| SEEDS[random.usize(0..SEEDS.len())].bytes()).collect();
        mutate(&mut bytes, &mut random);
        let whole = Client::new(&bytes).run();
        let cut = Client::with_script(script(&bytes, &mut random)).run();
        assert_eq!(whole.bytes(), cut.bytes(), "{}", bytes.escape_ascii());
        assert_eq!(whole.log.len(), whole.bytes().windows(9).filter(|window| window == b"HTTP/1.1 ").count());
    }
}

#[test]
fn noise_never_makes_the_server_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let mut bytes = vec![0; random.usize(1..300)];
        if random.bool() {
            random.fill(&mut bytes);
        } else {
            bytes.fill_with(|| SPECIAL[random.usize(0..SPECIAL.len())]);
        }
        let outcome = Client::new(&bytes).run();
        assert!(outcome.writes.len() <= 1, "{}", bytes.escape_ascii());
    }
}

#[test]
fn endless_heads_are_cut_at_the_limit() {
    for filler in [&b"\r\n"[..], b"A", b"GET ", b"\r\nX: ", b"GET / HTTP/1.1\r\nX: y", b"\n"] {
        let outcome = Client::new(filler.repeat(200_000 / filler.len())).run();
        assert!(outcome.writes.len() <= 1, "{}", filler.escape_ascii());
        let code = outcome.codes();
        assert!(matches!(code[..], [400 | 414 | 431]), "{} gets {code:?}", filler.escape_ascii());
    }
}

#[test]
fn nothing_in_a_request_reaches_a_response_field_but_a_redirects_query() {
    for marker in ["marker", "%0d%0amarker", "\u{e4}marker"] {
        for path in ["/", "/a%20b/", "/nothing/"] {
            let request =
                format!("GET {path}?{marker} HTTP/1.1\r\nHost: marker\r\nX: marker\r\nRange: marker\r\n\r\n");
            assert!(!Client::new(request).run().text().contains("marker"));
        }
        let answer = Client::new(format!("GET /a%20b?{marker} HTTP/1.1\r\nHost: h\r\n\r\n")).run();
        assert!(!answer.text().contains("\r\nmarker"));
    }
}
