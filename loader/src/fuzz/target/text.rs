//! Texts of the command line.

use super::bytes::Bytes;
use crate::device_spec::{DiskSpec, NetSpec};
use crate::net::rules::{Allow, Publish};

const WORDS: &[&[u8]] = &[
    b"tap:",
    b"fd:",
    b"user",
    b"ip=",
    b"gw=",
    b"dns=",
    b"ip6=",
    b"gw6=",
    b"mac=",
    b"mtu=",
    b"10.0.0.2/24",
    b"fd00::2/64",
    b"02:00:00:00:00:01",
    b"ro",
    b"sector=",
    b"4096",
    b"tcp:",
    b"udp:",
    b"*",
    b":80",
    b"/udp",
    b"[::1]:",
    b"-",
    b",",
    b"=",
    b"65535",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"dns",
    b"\xc3\xa9",
    b"\0",
];

/// Values of `--net`, `--block`, `--publish` and `--allow`: each is tried as all four.
pub(super) fn device() -> Bytes {
    let seeds = [
        "lan=tap:tap0,ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.1,ip6=fd00::2/64,gw6=fd00::1,dns6=fd00::1,mac=02:00:00:00:00:01,mtu=1500",
        "user",
        "fd:3,ip=192.0.2.2/24",
        "data=disk.img,ro,sector=4096",
        "8080:80",
        "0.0.0.0:8080:80/udp",
        "[::1]:7007:7",
        "tcp:example.org:443",
        "udp:192.0.2.0/24:5000-5010",
        "tcp:*:443",
        "tcp:[fd00::/8]:1-65535",
        "dns",
    ];
    Bytes::new(seeds.map(|seed| seed.as_bytes().to_vec()).into(), WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let kinds = [
            text.parse::<NetSpec>().is_ok(),
            text.parse::<DiskSpec>().is_ok(),
            text.parse::<Publish>().is_ok(),
            text.parse::<Allow>().is_ok(),
        ];
        let len = u32::try_from(text.len().min(255)).unwrap_or(0) / 8;
        Ok(kinds.iter().fold(len, |all, &good| all << 1 | u32::from(good)))
    })
}
