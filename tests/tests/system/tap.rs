//! Over a tap, in a network namespace of the test's own. Only root may make one.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use tests::http::Client;
use tests::{App, Backend, Ringwall, Running, in_own_network, on_each_backend, skip};

on_each_backend!(
    ping_and_curl_reach_the_guest_over_ipv4_and_ipv6,
    a_thousand_connections_leave_nothing_behind,
    ab_wrk_nc_and_socat_behave,
    tap_that_is_missing_or_down_is_refused_in_one_line,
);

pub(crate) const GUEST: &str = "10.77.0.2";
const GUEST6: &str = "fd77::2";

pub(crate) fn command(line: &str) {
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

/// Runs a shell's line, or says that a program it needs is missing.
fn line(program: &str, line: &str) -> Option<String> {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !found.status.success() {
        skip(&format!("there is no {program}: scripts/ci setup installs it"));
        return None;
    }
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}: {}\n{text}", output.status);
    Some(text)
}

fn ab_wrk_nc_and_socat_behave(backend: Backend) {
    in_own_network(|| {
        let (running, _) = start(backend);
        for keep_alive in ["", "-k"] {
            let load = format!("ab -q {keep_alive} -n 500 -c 16 http://{GUEST}/logo.svg");
            if let Some(report) = line("ab", &load) {
                assert!(report.contains("Complete requests:      500"), "{report}");
                assert!(report.contains("Failed requests:        0"), "{report}");
            }
        }
        if let Some(report) = line("wrk", &format!("wrk -t 1 -c 16 -d 1 http://{GUEST}/logo.svg")) {
            assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
        }
        end(running);

        let net = format!("net=tap:tap0,ip={GUEST}/24");
        let running = Ringwall::run_app(backend, App::Echo).args(["--net", &net]).start();
        let _ = running.stdout.line_with("echo on port");
        let data = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(data.path(), (0..300_000).map(|_| fastrand::u8(..)).collect::<Vec<_>>()).unwrap();
        let file = data.path().display();
        line("nc", &format!("nc -N -w 60 {GUEST} 7 <{file} | cmp - {file}"));
        line("socat", &format!("socat -t 60 - TCP:{GUEST}:7 <{file} | cmp - {file}"));
        end(running);
    });
}
