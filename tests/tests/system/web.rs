//! `web` over the userspace network: every file of the site arrives as it was baked in.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use tests::http::Client;
use tests::{App, Backend, Ringwall, Running, on_each_backend};
use web::SITE;
use web::site::{File, Target};

on_each_backend!(
    curl_gets_every_file_byte_for_byte,
    every_variant_arrives_with_its_tag_over_one_connection,
    requests_that_ask_for_less_get_less,
    pipelined_requests_are_answered_in_order,
    broken_requests_get_an_error_and_the_server_lives_on,
    sigterm_ends_it_with_zero,
);

pub(crate) fn start(backend: Backend) -> (Running, SocketAddr) {
    let running = Ringwall::run_app(backend, App::Web).args(["--publish", "0:80"]).start();
    let address = running.published("tcp");
    (running, address)
}

pub(crate) fn end(running: Running) {
    running.signal(Signal::TERM);
    let _ = running.wait().expect(0);
}

/// Every path with a file, and the file.
fn files() -> impl Iterator<Item = (&'static str, &'static File)> {
    SITE.routes.iter().filter_map(|route| match route.target {
        Target::File(file) => Some((route.path, file)),
        Target::Redirect(_) => None,
    })
}

fn curl_gets_every_file_byte_for_byte(backend: Backend) {
    if Command::new("curl").arg("--version").output().is_err() {
        return tests::skip("curl is not installed");
    }
    let (running, address) = start(backend);
    assert!(files().count() >= 8);
    for (path, file) in files() {
        let url = format!("http://{address}{path}");
        let fetched = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--max-time", "30", &url])
            .output();
        let fetched = fetched.unwrap();
        assert!(fetched.status.success(), "{url}: {}", String::from_utf8_lossy(&fetched.stderr));
        assert!(fetched.stdout == file.identity.body, "{url} differs");
    }
    end(running);
}

fn every_variant_arrives_with_its_tag_over_one_connection(backend: Backend) {
    let (running, address) = start(backend);
    let mut client = Client::connect(address);
    let mut compressed = 0;
    for (path, file) in files() {
        for (coding, variant) in [("br", "br"), ("gzip", "gzip"), ("identity", "")] {
            let response = client.request("GET", path, &format!("Accept-Encoding: {coding}\r\n"));
            assert_eq!(
                (response.status, response.field("content-type")),
                (200, Some(file.content_type)),
                "{path}"
            );
            let tag = response.field("etag").unwrap();
            let all = file.compressed.iter().chain([&file.identity]);
            let sent = all.into_iter().find(|variant| variant.etag == tag).unwrap();
            assert!(response.body == sent.body, "{path} as {coding}");
            if let Some(used) = response.field("content-encoding") {
                assert_eq!(used, variant, "{path}");
                compressed += 1;
            }
            let again = client.request(
                "GET",
                path,
                &format!("Accept-Encoding: {coding}\r\nIf-None-Match: {tag}\r\n"),
            );
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} as {coding}");
        }
    }
    assert!(compressed > 0);
    end(running);
}

fn requests_that_ask_for_less_get_less(backend: Backend) {
    let (running, address) = start(backend);
    let mut client = Client::connect(address);
    let (path, file) = files().find(|(path, _)| *path == "/").unwrap();
    let whole = file.identity.body;
    let head = client.request("HEAD", path, "");
    assert_eq!(head.field("content-length"), Some(whole.len().to_string().as_str()));
    let part = client.request("GET", path, "Range: bytes=10-19\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, &whole[10..20]));
    assert_eq!(part.field("content-range"), Some(format!("bytes 10-19/{}", whole.len()).as_str()));
    let tail = client.request("GET", path, "Range: bytes=-5\r\n");
    assert_eq!((tail.status, tail.body.as_slice()), (206, &whole[whole.len() - 5..]));
    assert_eq!(client.request("GET", path, "Range: bytes=99999999-\r\n").status, 416);
    assert_eq!(client.request("GET", "/no/such/page", "").status, 404);
    let refused = client.request("POST", path, "Content-Length: 0\r\n");
    assert_eq!(refused.status, 405);
    assert!(refused.field("allow").unwrap().contains("GET"));
    end(running);
}

fn pipelined_requests_are_answered_in_order(backend: Backend) {
    let (running, address) = start(backend);
    let mut client = Client::connect(address);
    let requests: String =
        files().map(|(path, _)| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    client.send(requests.as_bytes());
    for (path, file) in files() {
        assert!(client.response(false).body == file.identity.body, "{path}");
    }
    end(running);
}

fn broken_requests_get_an_error_and_the_server_lives_on(backend: Backend) {
    let (running, address) = start(backend);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-Field: y\r\n".repeat(5_000));
    for (request, statuses) in [
        ("NONSENSE\r\n\r\n", [400].as_slice()),
        ("GET / HTTP/1.1\r\n\r\n", &[400]),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", &[400, 505]),
        ("\0\0\0\0\r\n\r\n", &[400]),
        (&long, &[400, 414, 431]),
        (&many, &[400, 431]),
    ] {
        let mut client = Client::connect(address);
        client.send(request.as_bytes());
        let response = client.response(false);
        assert!(statuses.contains(&response.status), "{request:.40}: {}", response.status);
        assert!(client.is_closed());
    }
    assert_eq!(Client::connect(address).request("GET", "/", "").status, 200);
    end(running);
}

fn sigterm_ends_it_with_zero(backend: Backend) {
    let (running, address) = start(backend);
    let mut idle = Client::connect(address);
    assert_eq!(idle.request("GET", "/", "").status, 200);
    end(running);
}
