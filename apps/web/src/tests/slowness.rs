//! Clients that are slow, silent or gone, and a host that wants to end.

use core::time::Duration;

use super::machine::{Client, Step};
use crate::{Limits, Server};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

fn run(script: Vec<Step>) -> (Vec<u16>, u64) {
    let outcome = Client::with_script(script).run();
    (outcome.codes(), outcome.ended_at.as_secs())
}

#[test]
fn a_new_connection_that_says_nothing_is_closed_after_ten_seconds() {
    assert_eq!(run(vec![Step::Pause(9), send(GET)]), (vec![200], 9));
    assert_eq!(run(vec![Step::Pause(11), send(GET)]), (vec![], 10));
}

#[test]
fn a_head_has_ten_seconds_however_it_trickles() {
    let mut trickle = Vec::new();
    for byte in GET.bytes() {
        trickle.extend([Step::Send(vec![byte]), Step::Pause(1)]);
    }
    // The eleventh second is for the client to take the answer in.
    assert_eq!(run(trickle), (vec![408], 11));
    assert_eq!(
        run(vec![send("GET / HT"), Step::Pause(9), send("TP/1.1\r\nHost: h\r\n\r\n")]),
        (vec![200], 9)
    );
}

#[test]
fn each_head_has_its_own_ten_seconds() {
    let slow = [send("GET / HT"), Step::Pause(8), send("TP/1.1\r\nHost: h\r\n\r\nGET")];
    let rest = [Step::Pause(8), send(&GET[3..])];
    assert_eq!(run([&slow[..], &rest].concat()), (vec![200, 200], 16));
}

#[test]
fn an_idle_connection_is_closed_after_a_minute() {
    assert_eq!(run(vec![send(GET), Step::Pause(59), send(GET)]), (vec![200, 200], 59));
    assert_eq!(run(vec![send(GET), Step::Pause(61), send(GET)]), (vec![200], 60));
}

#[test]
fn a_client_that_takes_nothing_for_thirty_seconds_is_cut() {
    let client = Client { stall_after: 2000, ..Client::new("GET /data.bin HTTP/1.1\r\nHost: h\r\n\r\n") };
    let outcome = client.run();
    assert_eq!(outcome.bytes().len(), 2000);
    assert_eq!(outcome.ended_at, Duration::from_secs(30));
}

#[test]
fn a_refused_body_is_read_for_a_second_at_most() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(run(vec![send(post), Step::Pause(100)]), (vec![405], 1));
    let endless = vec![send(post), Step::Send(vec![b'x'; 10_000_000]), Step::Pause(100)];
    assert_eq!(run(endless), (vec![405], 0));
}

#[test]
fn a_lost_client_ends_the_connection_quietly() {
    assert_eq!(run(vec![Step::Fail]), (vec![], 0));
    assert_eq!(run(vec![]), (vec![], 0));
    assert_eq!(run(vec![send("GET / HT"), Step::Fail]), (vec![], 0));
    assert_eq!(run(vec![send("GET / HT")]), (vec![], 0));
    assert_eq!(run(vec![send(GET), Step::Fail]), (vec![200], 0));
}

#[test]
fn shut_down_closes_waiting_connections_and_lets_requests_finish() {
    let closing_at = Duration::from_secs(5);
    let idle = Client { closing_at, ..Client::with_script(vec![send(GET), Step::Pause(20)]) }.run();
    assert_eq!((idle.codes(), idle.ended_at), (vec![200], closing_at));

    let script = vec![send("GET / HT"), Step::Pause(7), send("TP/1.1\r\nHost: h\r\n\r\n"), send(GET)];
    let busy = Client { closing_at, ..Client::with_script(script) }.run();
    assert_eq!(busy.codes(), [200]);
    assert_eq!(busy.answers()[0].field("Connection"), Some("close"));
}

#[test]
fn the_wall_clock_is_read_once_a_second() {
    let script = vec![send(&GET.repeat(50)), Step::Pause(1), send(&GET.repeat(50))];
    let outcome = Client::with_script(script).run();
    assert_eq!(outcome.codes().len(), 100);
    assert_eq!(outcome.wall_readings, 2);
}

#[test]
fn each_request_is_one_line_of_log() {
    let script = [GET, "HEAD /x%20y\" HTTP/1.1\r\nHost: h\r\n\r\n", "nonsense\r\n\r\n"].concat();
    let log = Client::new(script).run().log;
    assert_eq!(log, ["client GET / 200 20", "client HEAD /x%20y\\\" 404 0", "client - - 400 16"]);
}

#[test]
fn a_connection_too_many_is_told_so_at_once() {
    let refused = Client::with_script(vec![send(GET), Step::Pause(20)]).refused();
    assert_eq!((refused.codes(), refused.ended_at), (vec![503], Duration::from_secs(1)));
    assert_eq!(refused.answers()[0].field("Connection"), Some("close"));
}

#[test]
fn connections_above_the_limits_are_refused_and_then_dropped() {
    struct NoHost;
    let limits = Limits { max_connections: 2, max_refusals: 1, ..Limits::default() };
    let server = Server::new(NoHost, &super::machine::SITE, limits, false);
    let mut admissions: Vec<_> = (0..3).map(|_| server.admit().unwrap()).collect();
    assert_eq!(
        admissions.iter().map(|admission| admission.is_refusal).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert!(server.admit().is_none());
    admissions.truncate(1);
    assert_eq!(server.connections(), 1);
    assert!(!server.admit().unwrap().is_refusal);
}
