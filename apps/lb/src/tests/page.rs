//! The status page.

use std::string::String;

use crate::balance::{Backends, Tried};
use crate::config::Config;
use crate::counters::Counters;
use crate::status::Status;

fn answer(head: &[u8]) -> String {
    let counters = Counters::default();
    counters.accepted.add(7);
    let config = Config { backends: std::vec![([10, 0, 0, 1], 80).into()], ..Config::default() };
    let backends = Backends::new(&config);
    let _place = backends.choose(Tried::default());
    let (connections, max_connections, draining) = (1, 9, false);
    Status { counters: &counters, backends: &backends, connections, max_connections, draining }.answer(head)
}

#[test]
fn a_page_has_every_counter_and_as_many_bytes_as_it_says() {
    let answer = answer(b"GET / HTTP/1.1\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(head.contains(&std::format!("Content-Length: {}\r\n", body.len())));
    for line in [
        "lb_accepted_total 7",
        "lb_connections 1",
        "lb_backend_up{backend=\"10.0.0.1:80\"} 1",
        "lb_backend_connections{backend=\"10.0.0.1:80\"} 1",
    ] {
        assert!(body.lines().any(|other| other == line), "no `{line}` in\n{body}");
    }
}

#[test]
fn head_gets_the_head_alone_and_other_methods_are_refused() {
    let head = answer(b"HEAD / HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"));
    assert!(answer(b"POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(answer(b"\0\0\0\0\r\n\r\n").starts_with("HTTP/1.1 405 "));
}
