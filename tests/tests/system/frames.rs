//! The frame policy of taps and descriptors: what a hostile guest sends beyond it does not arrive, and the rest works.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;

use rustix::process::Signal;
use tests::frames::{Wire, ethernet, hexadecimal, ipv4, ipv6, link, tcp, udp};
use tests::{App, Backend, Ringwall, in_own_network, on_each_backend};

on_each_backend!(
    hostile_frames_do_not_reach_another_programs_descriptor,
    hostile_frames_do_not_reach_a_tap,
    offload_fields_that_do_not_belong_to_their_frame_do_not_reach_a_tap,
    long_segments_cross_a_policy_uncut,
    without_a_policy_they_all_do,
    accepted_calls_work_over_a_tap_and_others_are_not_even_refused,
    dropped_frames_are_counted_if_asked_for,
    rules_that_mean_nothing_are_refused,
);

const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OWN: [u8; 4] = [10, 77, 0, 2];
const FRIEND: [u8; 4] = [10, 77, 0, 9];
const STRANGER: [u8; 4] = [10, 77, 0, 8];
const SYN: u8 = 2;
const ACK: u8 = 16;
const NET: &str = "mac=02:00:00:00:00:02,ip=10.77.0.2/24,ip6=fd77::2/64";
const ALLOW: [&str; 4] = ["--allow", "tcp:10.77.0.9:443", "--allow", "tcp:[fd77::9]:443"];

const fn own6(last: u8) -> [u8; 16] {
    [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn frame(packet: &[u8]) -> Vec<u8> {
    ethernet(PEER, GUEST, if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 }, packet)
}

/// A segment to the one port that is open.
fn segment() -> Vec<u8> {
    tcp(50_000, 443, SYN, b"no pad..")
}

fn to_friend(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    frame(&ipv4(OWN, FRIEND, 6, &segment(), change))
}

/// What the policy lets out.
fn good() -> Vec<Vec<u8>> {
    vec![to_friend(|_| {}), frame(&ipv6(own6(2), own6(9), 6, &segment()))]
}

/// What it does not: the good frames in every disguise, and others.
fn hostile() -> Vec<Vec<u8>> {
    let tagged = |kind| ethernet(PEER, GUEST, kind, &[&[0, 1][..], &to_friend(|_| {})[12..]].concat());
    let extended = |kind: u8| {
        frame(&ipv6(own6(2), own6(9), kind, &[&[6, 0, 0, 0, 0, 0, 0, 0][..], &segment()].concat()))
    };
    let sender = |from| frame(&ipv4(from, FRIEND, 6, &segment(), |_| {}));
    let mut frames = vec![
        tagged(0x8100),
        tagged(0x88a8),
        ethernet(PEER, GUEST, 60, &[0xaa; 60]),
        ethernet([1, 0x80, 0xc2, 0, 0, 14], GUEST, 0x88cc, &[2; 46]),
        ethernet([0xff; 6], GUEST, 0x0800, &ipv4(OWN, FRIEND, 6, &segment(), |_| {})),
        ethernet(PEER, PEER, 0x0800, &ipv4(OWN, FRIEND, 6, &segment(), |_| {})),
        ethernet(PEER, [3, 0, 0, 0, 0, 2], 0x0800, &ipv4(OWN, FRIEND, 6, &segment(), |_| {})),
        to_friend(|ip| ip[6] = 0x20),
        to_friend(|ip| ip[7] = 3),
        to_friend(|ip| [ip[2], ip[3], ip[6]] = [0, 28, 0x20]),
        to_friend(|ip| ip[6] = 0x80),
        to_friend(|ip| ip[3] += 1),
        to_friend(|ip| ip[3] -= 1),
        to_friend(|ip| [ip[2], ip[3]] = [0, 20]),
        to_friend(|ip| [ip[2], ip[3]] = [255, 255]),
        to_friend(|ip| ip[0] = 0x46),
        to_friend(|ip| ip[0] = 0x44),
        to_friend(|ip| ip[0] = 0x65),
        to_friend(|ip| {
            ip[0] = 0x46;
            ip[3] += 4;
            ip.extend([0x94, 4, 0, 0]);
        }),
        to_friend(|ip| ip[9] = 17),
        to_friend(|ip| ip[9] = 4),
        to_friend(|ip| ip[9] = 47),
        [&to_friend(|_| {})[..], b"hidden behind the packet"].concat(),
        to_friend(|_| {})[..40].to_vec(),
        sender(STRANGER),
        sender([10, 77, 0, 1]),
        sender([127, 0, 0, 1]),
        sender([0, 0, 0, 0]),
        frame(&ipv4(OWN, STRANGER, 6, &segment(), |_| {})),
        frame(&ipv4(OWN, [10, 77, 0, 255], 6, &segment(), |_| {})),
        frame(&ipv4(OWN, [255; 4], 17, &udp(68, 67, &[1; 20]), |_| {})),
        frame(&ipv4(OWN, [224, 0, 0, 251], 17, &udp(5353, 5353, b"who is there"), |_| {})),
        frame(&ipv4(OWN, FRIEND, 6, &tcp(50_000, 22, SYN, b""), |_| {})),
        frame(&ipv4(OWN, FRIEND, 6, &tcp(80, 22, ACK, b""), |_| {})),
        frame(&ipv4(OWN, FRIEND, 6, &tcp(50_000, 443, 0, b""), |_| {})),
        frame(&ipv4(OWN, FRIEND, 6, &tcp(50_000, 443, 63, b""), |_| {})),
        frame(&ipv4(OWN, FRIEND, 17, &udp(50_000, 443, b"data"), |_| {})),
        frame(&ipv4(OWN, FRIEND, 1, &[8, 0, 0, 0, 0, 1, 0, 1], |_| {})),
        frame(&ipv4(OWN, FRIEND, 1, &[5, 1, 0, 0, 10, 77, 0, 2, 0, 0, 0, 0], |_| {})),
        frame(&ipv6(own6(3), own6(9), 6, &segment())),
        frame(&ipv6(own6(2), own6(8), 6, &segment())),
        frame(&ipv6(own6(2), [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 6, &segment())),
        frame(&ipv6(own6(2), own6(9), 58, &[134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0])),
    ];
    frames.extend([0, 43, 44, 51, 60, 135].map(extended));
    frames.extend(arp_frames());
    frames
}

/// Questions about somebody else than the friend, and answers for somebody else.
fn arp_frames() -> [Vec<u8>; 3] {
    let arp = |operation: u8, from: [u8; 4], to: [u8; 4]| {
        let head = [0, 1, 8, 0, 6, 4, 0, operation];
        ethernet([0xff; 6], GUEST, 0x0806, &[&head[..], &GUEST, &from, &[0; 6], &to].concat())
    };
    [arp(1, OWN, STRANGER), arp(1, FRIEND, OWN), arp(2, FRIEND, STRANGER)]
}

/// Sends all of them, with good ones before, between and behind, so that the last shows that all have been judged.
fn arguments() -> Vec<String> {
    let (good, hostile) = (good(), hostile());
    let middle = hostile.len() / 2;
    let frames = good.iter().chain(&hostile[..middle]).chain(&good).chain(&hostile[middle..]).chain(&good);
    std::iter::once("send".to_owned()).chain(frames.map(|frame| hexadecimal(frame))).collect()
}

fn expected() -> Vec<Vec<u8>> {
    [good(), good(), good()].concat()
}

fn run(backend: Backend, net: &str, options: &[&str]) -> tests::Run {
    let arguments = arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let net = format!("net={net},{NET}");
    let run = Ringwall::run_app(backend, App::Forge).args(["--net", &net]).args(options).guest(&arguments);
    let run = run.run().expect(0);
    assert_eq!(run.stdout, format!("sent {}\n", hostile().len() + 3 * good().len()));
    run
}

/// Everything that has arrived, up to the end. All senders are gone.
fn received(link: &OwnedFd) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut buffer = vec![0; 70_000];
    rustix::io::ioctl_fionbio(link, true).unwrap();
    while let Ok(size_bytes @ 1..) = rustix::io::read(link, &mut buffer[..]) {
        frames.push(buffer[..size_bytes].to_vec());
    }
    frames
}

fn hostile_frames_do_not_reach_another_programs_descriptor(backend: Backend) {
    let (ours, theirs) = link();
    let net = format!("fd:{}", theirs.as_raw_fd());
    let _ = run(backend, &net, &ALLOW);
    assert_eq!(received(&ours), expected());
}

fn hostile_frames_do_not_reach_a_tap(backend: Backend) {
    in_own_network(|| {
        tap();
        let wire = Wire::tap();
        let _ = run(backend, "tap:tap0", &ALLOW);
        let captured: Vec<Vec<u8>> = std::iter::from_fn(|| wire.next()).collect();
        assert_eq!(captured, expected());
    });
}

/// A long segment to the one port that is open.
fn long(ip: fn(&[u8]) -> Vec<u8>, flags: u8) -> Vec<u8> {
    ip(&tcp(50_000, 443, flags, &[b'x'; 120]))
}

/// Good frames with the offload fields that belong to them.
fn offloaded() -> Vec<(Vec<u8>, [u16; 6])> {
    let v4 = |segment: &[u8]| frame(&ipv4(OWN, FRIEND, 6, segment, |_| {}));
    let v6 = |segment: &[u8]| frame(&ipv6(own6(2), own6(9), 6, segment));
    vec![
        (to_friend(|_| {}), [1, 0, 0, 0, 34, 16]),
        (frame(&ipv6(own6(2), own6(9), 6, &segment())), [1, 0, 0, 0, 54, 16]),
        (long(v4, ACK), [1, 1, 54, 60, 34, 16]),
        (long(v6, ACK), [1, 4, 74, 60, 54, 16]),
    ]
}

/// Fields that would make the kernel write or repeat something else, each on a frame that passes with others.
fn lies() -> Vec<(Vec<u8>, [u16; 6])> {
    let v4 = |segment: &[u8]| frame(&ipv4(OWN, FRIEND, 6, segment, |_| {}));
    let on = |fields| (long(v4, ACK), fields);
    vec![
        // The sum goes into the destination's address, and the port.
        (to_friend(|_| {}), [1, 0, 0, 0, 14, 16]),
        (to_friend(|_| {}), [1, 0, 0, 0, 34, 2]),
        (to_friend(|_| {}), [1, 0, 0, 0, 35, 15]),
        on([1, 1, 54, 60, 14, 16]),
        on([1, 1, 54, 60, 34, 0]),
        // Headers that end elsewhere.
        on([1, 1, 50, 60, 34, 16]),
        on([1, 1, 60, 60, 34, 16]),
        on([1, 1, 34, 60, 34, 16]),
        // Another kind; pieces above the MTU; a first segment in pieces.
        on([1, 4, 54, 60, 34, 16]),
        on([1, 1, 54, 1461, 34, 16]),
        (long(v4, SYN), [1, 1, 54, 60, 34, 16]),
        (frame(&ipv4(OWN, FRIEND, 17, &udp(50_000, 443, &[0; 120]), |_| {})), [1, 1, 42, 60, 34, 6]),
    ]
}

fn offload_fields_that_do_not_belong_to_their_frame_do_not_reach_a_tap(backend: Backend) {
    let send = |options: &[&str]| {
        let all = [offloaded(), lies(), offloaded()].concat();
        let argument = |(frame, fields): &(Vec<u8>, [u16; 6])| {
            format!("{}/{}", hexadecimal(frame), fields.map(|field| field.to_string()).join("."))
        };
        let arguments: Vec<String> = all.iter().map(argument).collect();
        let arguments: Vec<&str> =
            std::iter::once("send").chain(arguments.iter().map(String::as_str)).collect();
        tap();
        let wire = Wire::tap();
        let net = format!("net=tap:tap0,{NET}");
        let run = Ringwall::run_app(backend, App::Forge).args(["--net", &net, "--verbose"]).args(options);
        let run = run.guest(&arguments).run().expect(0);
        (run, std::iter::from_fn(|| wire.next()).collect::<Vec<_>>())
    };
    let honest = |frames: Vec<(Vec<u8>, [u16; 6])>| frames.into_iter().map(|(frame, _)| frame);
    in_own_network(|| {
        let (run, captured) = send(&ALLOW);
        assert_eq!(captured, honest(offloaded()).chain(honest(offloaded())).collect::<Vec<_>>());
        assert!(run.stderr.contains(&format!("offload {}", lies().len() - 1)), "{}", run.stderr);
    });
    // It is the policy that stops them: the kernel takes most of them.
    in_own_network(|| {
        let (_, captured) = send(&[]);
        assert!(captured.len() > 2 * offloaded().len() + lies().len() / 2, "{}", captured.len());
    });
}

/// What is judged is the long segment, not its pieces: a policy does not make bulk slow.
fn long_segments_cross_a_policy_uncut(backend: Backend) {
    const SIZE_BYTES: usize = 4 << 20;
    in_own_network(|| {
        tap();
        let net = format!("net=tap:tap0,{NET}");
        let running = Ringwall::run_app(backend, App::Echo)
            .args(["--net", &net, "--accept", "tcp:10.77.0.1:7", "--verbose"])
            .start();
        let _ = running.stdout.line_with("port 7");
        let data: Vec<u8> = (0..=250).cycle().take(SIZE_BYTES).collect();
        let mut stream = std::net::TcpStream::connect("10.77.0.2:7").unwrap();
        let mut answer = vec![0; SIZE_BYTES];
        std::thread::scope(|scope| {
            let mut writer = stream.try_clone().unwrap();
            let data = &data;
            scope.spawn(move || writer.write_all(data).unwrap());
            stream.read_exact(&mut answer).unwrap();
        });
        assert!(answer == data, "bytes have changed");
        drop(stream);
        running.signal(Signal::TERM);
        let run = running.wait().expect(0);
        for way in ["out", "in"] {
            let (_, counts) = run.stderr.split_once(&format!("frames {way}: ")).unwrap();
            let passed: usize = counts.split(' ').next().unwrap().parse().unwrap();
            assert!(passed < SIZE_BYTES / 1448, "{counts}");
        }
    });
}

/// The frames are what they are meant to be, and it is the policy that stops them.
fn without_a_policy_they_all_do(backend: Backend) {
    let (ours, theirs) = link();
    let _ = run(backend, &format!("fd:{}", theirs.as_raw_fd()), &[]);
    assert_eq!(received(&ours).len(), hostile().len() + 3 * good().len());
}

fn command(line: &str) -> std::process::Output {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    output.unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn succeeds(line: &str) {
    let output = command(line);
    assert!(output.status.success(), "{line}: {output:?}");
}

fn tap() {
    for line in [
        "ip link set lo up",
        "ip tuntap add dev tap0 mode tap",
        "ip addr add 10.77.0.1/24 dev tap0",
        "ip addr add fd77::1/64 dev tap0 nodad",
        "ip link set tap0 up",
    ] {
        succeeds(line);
    }
}

fn accepted_calls_work_over_a_tap_and_others_are_not_even_refused(backend: Backend) {
    in_own_network(|| {
        tap();
        let net = format!("net=tap:tap0,{NET}");
        let accept = ["--net", &net, "--accept", "tcp:10.77.0.0/24:80", "--accept", "tcp:[fd77::]/64:80"];
        let pings = ["--accept", "ping:10.77.0.0/24", "--accept", "ping:[fd77::]/64"];
        let running = Ringwall::run_app(backend, App::Web).args(accept).args(pings).start();
        let _ = running.stdout.line_with("paths on port 80");
        for line in [
            "ping -q -c 5 -i 0.05 -W 5 10.77.0.2",
            "ping -q -c 2 -i 0.05 -W 5 -s 1472 -M do 10.77.0.2",
            "ping -6 -q -c 5 -i 0.05 -W 5 fd77::2",
            "curl --silent --show-error --fail --max-time 30 -o /dev/null http://10.77.0.2/",
            "curl --silent --show-error --fail --max-time 30 -o /dev/null http://[fd77::2]/",
        ] {
            succeeds(line);
        }
        // A closed port would answer with a reset at once. 28 is a time-out: nothing came back.
        let closed = command("curl --silent --max-time 1 http://10.77.0.2:81/");
        assert_eq!(closed.status.code(), Some(28), "{closed:?}");
        running.signal(Signal::TERM);
        let _ = running.wait().expect(0);
    });
}

fn dropped_frames_are_counted_if_asked_for(backend: Backend) {
    let (_ours, theirs) = link();
    let mut options = ALLOW.to_vec();
    options.push("--verbose");
    let run = run(backend, &format!("fd:{}", theirs.as_raw_fd()), &options);
    let line = run.stderr.lines().find(|line| line.contains("forge: net: frames out: ")).unwrap();
    let counts = format!("{} passed, {} dropped", 3 * good().len(), hostile().len());
    assert!(
        line.contains(&counts) && line.contains("VLAN 2") && line.contains("extension header 5"),
        "{line}"
    );
}

fn rules_that_mean_nothing_are_refused(backend: Backend) {
    let with = |options: &[&str]| Ringwall::run_app(backend, App::Web).args(options).run();
    with(&["--accept", "tcp:*:80"]).expect(64).says_once("takes --publish");
    with(&["--allow", "other=dns"]).expect(64).says_once("no NIC `other`");
    with(&["--allow", "ping:10.0.0.1"]).expect(71).says_once("only the gateway answers pings");
    let (_ours, theirs) = link();
    let fd = format!("fd:{},ip=10.77.0.2/24", theirs.as_raw_fd());
    with(&["--net", &fd, "--publish", "8080:80"]).expect(64).says_once("takes --accept");
    with(&["--net", &fd, "--allow", "dns"]).expect(64).says_once("needs dns=");
}
