//! What a guest does to itself: its heap, its panics, its memory. And the same calls by two dispatchers.

use ::tests::{App, Ringwall, TestMachine};
use loader::layout::RegionKind;

use super::machines::NO_MACHINE;
use crate::case::{Case, Got, all, case, nowhere};
use crate::each::Sweep;
use crate::host::Host;
use crate::{guest, words};

const NO_LAB: &str = "what is tested does not meet the processor";

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let own_end = |label: &str, how: &'static str| {
        case(118, label, all(&["the guest's own end"]), move |host| own_end(host, how))
    };
    vec![
        case(
            117,
            "buffer-overflow-over-a-canary",
            nowhere(
                "there are no canaries: appliances are Rust, whose accesses are checked; what an overflow could reach is rows 81 to 98",
            ),
            |_| Err("not here".to_owned()),
        ),
        own_end("block-freed-twice", "free-twice"),
        own_end("block-that-is-none-freed", "free-foreign"),
        own_end("heap-overwritten", "overwrite-heap"),
        case(119, "panic-in-a-panic", all(&["panic, one message"]), |host| panics(host, "panic-in-panic")),
        case(119, "panic-whose-message-never-ends", all(&["panic, one message"]), |host| {
            panics(host, "panic-without-end")
        }),
        case(119, "panic-that-recurses", all(&["#PF, called a stack overflow"]), |host| {
            let run = crash(host, "panic-recursion");
            let named = if run.stderr.contains("stack overflow") { ", called a stack overflow" } else { "" };
            Ok(words::program(&run) + named)
        }),
        case(120, "panics-of-four-boots", all(&["the same text"]).not_lab(NO_LAB), |host| {
            same_at_every_boot(host, "panic")
        }),
        case(120, "faults-of-four-boots", all(&["the same text"]).not_lab(NO_LAB), |host| {
            same_at_every_boot(host, "stack")
        }),
        case(
            170,
            "calls-of-a-real-guest-and-of-the-harness",
            all(&["no difference"]).not_lab(NO_LAB),
            replayed,
        ),
        case(217, "a-byte-per-2-mib-all-around", all(&["#PF"]).not_process(NO_MACHINE), |_| page_walks()),
    ]
}

fn crash(host: Host, how: &str) -> ::tests::Run {
    // A heap that is out of order may make an endless loop. Where processors are emulated, all takes longer.
    let limit = if host.is_lab() { "60" } else { "5" };
    Ringwall::run_app(host.backend(), App::Crash).args(["--time-limit", limit]).guest(&[how]).run()
}

/// Whatever the guest makes of its own heap, and be it a loop, ends as a guest ends.
fn own_end(host: Host, how: &str) -> Got {
    let run = crash(host, how);
    guest::check(&run)?;
    let known = run.stdout.contains(how) && !run.stdout.contains("no such way");
    Ok(match run.code {
        0..=63 | 80..=84 if known => "the guest's own end".to_owned(),
        code => format!("exit {code}: {}{}", run.stdout, run.stderr),
    })
}

fn panics(host: Host, how: &str) -> Got {
    let run = crash(host, how);
    guest::check(&run)?;
    // The last line alone may be of any length.
    let messages = run.stdout.lines().filter(|line| line.starts_with("panic")).count();
    let count = if messages == 1 { "one message".to_owned() } else { format!("{messages} messages") };
    Ok(format!("{}, {count}", words::program(&run)))
}

/// Addresses differ from boot to boot, so text that does not has none in it.
fn same_at_every_boot(host: Host, how: &str) -> Got {
    let said = || {
        let run = crash(host, how);
        (run.code, run.stdout, run.stderr)
    };
    let first = said();
    let differs = (0..3).map(|_| said()).find(|next| *next != first);
    Ok(differs.map_or("the same text".to_owned(), |other| format!("{first:?}, then {other:?}")))
}

/// A hostile guest's programs, by the real machine and by the harness: they must agree on every result and every byte.
fn replayed(host: Host) -> Got {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = folder.path().join("fuzz").display().to_string();
    let words = ["fuzz", "--vm", "--backend", host.backend().name(), "--seed", "170", "--seconds", "5"];
    let image = App::Fuzzer.image();
    let run = Ringwall::new()
        .args(words)
        .args(["--dir", &folder])
        .args([std::path::Path::new("--image"), image])
        .run();
    guest::check(&run)?;
    Ok(if run.code == 0 {
        "no difference".to_owned()
    } else {
        format!("exit {}: {}{}", run.code, run.stdout, run.stderr)
    })
}

/// Every page-table entry of a GiB around the heap, again and again: the tables stay what they are.
fn page_walks() -> Got {
    let mut sweep = Sweep::new(TestMachine::new(App::Attack, &["each", "read"]));
    let plan = sweep.machine().machine.plan.clone();
    let heap = plan.region(RegionKind::Heap).gva.0 & !((2 << 20) - 1);
    let mapped =
        |address: u64| plan.regions.iter().any(|region| (region.gva.0..region.end().0).contains(&address));
    let once = (0..512).map(|step| heap.wrapping_sub(1 << 29).wrapping_add(step << 21));
    let addresses: Vec<u64> = once.filter(|&address| !mapped(address)).collect();
    sweep.with_each(addresses.repeat(4))?;
    Ok(words::tally(&sweep.finish()?))
}
