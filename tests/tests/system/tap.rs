//! Over a tap, in a network namespace of the test's own. Only root may make one.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use tests::http::Client;
use tests::{App, Backend, Ringwall, Running, in_own_network, on_each_backend};

on_each_backend!(
    ping_and_curl_reach_the_guest_over_ipv4_and_ipv6,
    a_thousand_connections_leave_nothing_behind,
    tap_that_is_missing_or_down_is_refused_in_one_line,
);

const GUEST: &str = "10.77.0.2";
const GUEST6: &str = "fd77::2";

fn command(line: &str) {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}:\n{stdout}\n{stderr}");
}

/// Makes an interface and starts the web server on it.
fn start(backend: Backend) -> (Running, SocketAddr) {
    for line in [
        "ip link set lo up",
        "ip tuntap add dev tap0 mode tap",
        "ip addr add 10.77.0.1/24 dev tap0",
        "ip addr add fd77::1/64 dev tap0 nodad",
        "ip link set tap0 up",
    ] {
        command(line);
    }
    let net = format!("net=tap:tap0,ip={GUEST}/24,ip6={GUEST6}/64");
    let running = Ringwall::run_app(backend, App::Web).args(["--net", &net]).start();
    let _ = running.stdout.line_with("paths on port 80");
    (running, SocketAddr::new(GUEST.parse().unwrap(), 80))
}

fn end(running: Running) {
    running.signal(Signal::TERM);
    let _ = running.wait().expect(0);
}

fn ping_and_curl_reach_the_guest_over_ipv4_and_ipv6(backend: Backend) {
    in_own_network(|| {
        let (running, _) = start(backend);
        for line in [
            format!("ping -q -c 5 -i 0.05 -W 5 {GUEST}"),
            format!("ping -q -c 2 -i 0.05 -W 5 -s 1472 -M do {GUEST}"),
            format!("ping -6 -q -c 5 -i 0.05 -W 5 {GUEST6}"),
            format!("curl --silent --show-error --fail --max-time 30 -o /dev/null http://{GUEST}/"),
            format!("curl --silent --show-error --fail --max-time 30 -o /dev/null http://[{GUEST6}]/"),
        ] {
            command(&line);
        }
        end(running);
    });
}

fn a_thousand_connections_leave_nothing_behind(backend: Backend) {
    in_own_network(|| {
        let (running, address) = start(backend);
        let fetch = || {
            let mut client = Client::connect(address);
            assert_eq!(client.request("GET", "/", "Connection: close\r\n").status, 200);
            assert!(client.is_closed());
        };
        // Until the heap and the table of ended connections are as large as they get.
        (0..1500).for_each(|_| fetch());
        let monitor = running.children()[0];
        let resident = || {
            let statm = std::fs::read_to_string(format!("/proc/{}/statm", monitor.as_raw_nonzero())).unwrap();
            statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
        };
        let descriptors =
            || std::fs::read_dir(format!("/proc/{}/fd", monitor.as_raw_nonzero())).unwrap().count();
        let before = (resident(), descriptors());
        (0..1000).for_each(|_| fetch());
        // Pages that the guest touched, its heap included. A connection that stayed would cost four of them.
        assert!(resident() <= before.0 + 32, "{} pages before, {} after", before.0, resident());
        assert_eq!(descriptors(), before.1);
        end(running);
    });
}

fn tap_that_is_missing_or_down_is_refused_in_one_line(backend: Backend) {
    in_own_network(|| {
        let with = |net: &str| Ringwall::run_app(backend, App::Web).args(["--net", net]).run();
        with("net=tap:tap9").expect(69).says_once("tap9");
        command("ip tuntap add dev tap1 mode tap");
        with("net=tap:tap1").expect(69).says_once("tap1");
        with("net=tap:lo").expect(69).says_once("lo");
    });
}
