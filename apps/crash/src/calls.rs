//! Every hypercall with arguments that must be refused.

use core::hint::black_box;

use guest::hvcall::{Nr, Status};
use guest::println;

use crate::contract::raw_call;

/// An address in no guest's memory: everything below 4 GiB is unmapped.
const NOWHERE: u64 = 0x1000;
/// A length beyond every limit.
const HUGE: u64 = 1 << 40;

/// A call that must be refused.
struct Case {
    what: &'static str,
    nr: u64,
    arguments: [u64; 6],
    wanted: Status,
}

/// Makes each call and prints what it says. Says so, too, if that is not what the contract wants.
#[inline(never)]
pub(crate) fn try_all() {
    let mut wrong = 0;
    for case in cases() {
        let result = Status::from_result(raw_call(case.nr, case.arguments));
        let name =
            u32::try_from(case.nr).ok().and_then(|nr| Nr::ALL.get(nr as usize)).map_or("?", |nr| nr.name());
        let verdict = if result == Err(case.wanted) { "" } else { " WRONG" };
        wrong += usize::from(result != Err(case.wanted));
        println!("{name} {}: {result:?}{verdict}", case.what);
    }
    println!("{wrong} wrong");
}

fn cases() -> impl Iterator<Item = Case> {
    let mut own = [0_u64; 16];
    // Its address only: the calls are refused before they touch it.
    let own = black_box(&mut own).as_mut_ptr() as u64;
    let text = try_all as fn() as usize as u64;
    let case = |what, nr: Nr, first, second, third, wanted| Case {
        what,
        nr: u64::from(nr as u32),
        arguments: [first, second, third, 0, 0, 0],
        wanted,
    };
    let unknown = [10, 0xffff_ffff, 336].map(|nr| Case {
        what: "unknown number",
        nr,
        arguments: [0; 6],
        wanted: Status::NOSYS,
    });
    let devices =
        [Nr::NetSend, Nr::NetRecv, Nr::BlockSubmit, Nr::BlockReap].into_iter().flat_map(move |nr| {
            [
                case("of no device", nr, 0, own, 1, Status::NODEV),
                case("of an impossible device", nr, HUGE, own, 1, Status::NODEV),
                case("misaligned", nr, 0, own + 4, 1, Status::INVAL),
                case("too many", nr, 0, own, 65, Status::INVAL),
            ]
        });
    let others = [
        case("nothing", Nr::ConsoleWrite, own, 0, 0, Status::INVAL),
        case("too long", Nr::ConsoleWrite, own, 65_537, 0, Status::INVAL),
        case("huge", Nr::ConsoleWrite, own, HUGE, 0, Status::INVAL),
        case("from nowhere", Nr::ConsoleWrite, NOWHERE, 1, 0, Status::FAULT),
        case("from the end of addresses", Nr::ConsoleWrite, u64::MAX, 2, 0, Status::FAULT),
        case("unused slot", Nr::ConsoleWrite, own, 1, 1, Status::INVAL),
        case("unknown event", Nr::Wait, 0, 1 << 63, 0, Status::INVAL),
        case("absent NIC", Nr::Wait, 0, 2, 0, Status::INVAL),
        case("absent disk", Nr::Wait, 0, 1 << 32, 0, Status::INVAL),
        case("unknown", Nr::Clock, 2, 0, 0, Status::INVAL),
        case("nothing", Nr::Entropy, own, 0, 0, Status::INVAL),
        case("too long", Nr::Entropy, own, 257, 0, Status::INVAL),
        case("into nowhere", Nr::Entropy, NOWHERE, 8, 0, Status::FAULT),
        case("into code", Nr::Entropy, text, 8, 0, Status::FAULT),
        case("misaligned", Nr::Multicall, own + 1, 1, 0, Status::INVAL),
        case("too many", Nr::Multicall, own, 65, 0, Status::INVAL),
        case("from nowhere", Nr::Multicall, NOWHERE, 1, 0, Status::FAULT),
        case("from code", Nr::Multicall, text & !7, 1, 0, Status::FAULT),
    ];
    unknown.into_iter().chain(devices).chain(others)
}
