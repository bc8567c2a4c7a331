//! `multicall`: several calls in one trap.

use hvcall::call::ClockId;
use hvcall::{Call, CallEntry, Events, GuestArray, GuestExit, GuestSlice, Gva, RawCall, Status};
use loader::layout::RegionKind;
use tests::Window;

fn text(address: u64) -> Call {
    Call::ConsoleWrite(GuestSlice { address: Gva(address), size_bytes: 3 })
}

/// Puts a batch on the heap, carries it out, and returns what RAX and each entry hold then.
fn run(window: &mut Window, entries: &[CallEntry]) -> (i64, Vec<i64>) {
    let place = window.heap();
    window.poke_all(place, entries);
    let result =
        window.call(&Call::Multicall(GuestArray { address: Gva(place), count: entries.len() as u64 }));
    let results =
        (0..entries.len() as u64).map(|index| window.peek_as::<CallEntry>(place + index * 64).result);
    (result, results.collect())
}

fn entry(call: Call) -> CallEntry {
    CallEntry { result: 0x5eed, ..call.encode().into() }
}

#[test]
fn goes_on_after_an_error_and_refuses_exit_and_itself() {
    let mut window = Window::new(Vec::new(), Vec::new());
    let words = window.heap() + 8192;
    window.poke(words, b"onetwo");
    let nested = GuestArray { address: Gva(window.heap()), count: 1 };
    let entries = [
        entry(text(words)),
        entry(text(0x1000)),
        entry(Call::Exit(GuestExit::Status(0))),
        entry(Call::Exit(GuestExit::Panic)),
        CallEntry { result: 1, ..RawCall { nr: 0, arguments: [77, 0, 0, 0, 0, 0] }.into() },
        entry(Call::Multicall(nested)),
        CallEntry { nr: 10, ..CallEntry::default() },
        entry(text(words + 3)),
    ];
    let (result, results) = run(&mut window, &entries);
    assert_eq!(result, 8);
    let [inval, fault, nosys] = [Status::INVAL, Status::FAULT, Status::NOSYS].map(Status::to_result);
    assert_eq!(results, [3, fault, inval, inval, inval, inval, nosys, 3]);
    assert_eq!(window.console(), b"onetwo");
}

#[test]
fn array_in_memory_that_cannot_be_written_faults_without_effect() {
    let mut window = Window::new(Vec::new(), Vec::new());
    for kind in [RegionKind::Text, RegionKind::ReadOnlyData, RegionKind::BootInfo] {
        let address = window.plan.region(kind).gva;
        let call = Call::Multicall(GuestArray { address, count: 1 });
        assert_eq!(window.call(&call), Status::FAULT.to_result(), "{kind:?}");
    }
    assert_eq!(window.console(), b"");
}

#[test]
fn array_that_leaves_its_region_faults_without_effect() {
    let mut window = Window::new(Vec::new(), Vec::new());
    let words = window.heap();
    window.poke(words, b"one");
    let end = window.plan.region(RegionKind::Heap).end().0;
    window.poke_all(end - 64, &[entry(text(words))]);
    let call = |count| Call::Multicall(GuestArray { address: Gva(end - 64), count });
    assert_eq!(window.call(&call(2)), Status::FAULT.to_result());
    assert_eq!(window.console(), b"");
    assert_eq!(window.call(&call(1)), 1);
    assert_eq!(window.console(), b"one");
}

/// The descriptors are copied first: a call that overwrites a later entry changes what memory holds, not what is carried out.
#[test]
fn entries_are_read_once_before_the_first_call() {
    let mut window = Window::new(Vec::new(), Vec::new());
    let place = window.heap();
    let words = place + 8192;
    window.poke(words, b"one");
    let overwrite = Call::Entropy(GuestSlice { address: Gva(place + 64), size_bytes: 56 });
    let (result, results) = run(&mut window, &[entry(overwrite), entry(text(words))]);
    assert_eq!((result, results), (2, vec![56, 3]));
    assert_eq!(window.console(), b"one");
}

#[test]
fn sixty_four_calls_are_carried_out_in_order() {
    let mut window = Window::new(Vec::new(), Vec::new());
    let words = window.heap() + 8192;
    let letters: Vec<u8> = (0..66).map(|index| b'A' + index % 26).collect();
    window.poke(words, &letters);
    let entries: Vec<CallEntry> = (0..64).map(|index| entry(text(words + index))).collect();
    let (result, results) = run(&mut window, &entries);
    assert_eq!((result, results), (64, vec![3; 64]));
    let expected: Vec<u8> = letters.windows(3).flatten().copied().collect();
    assert_eq!(window.console(), expected);
}

#[test]
fn a_row_of_waits_and_clocks_keeps_time() {
    let mut window = Window::new(Vec::new(), Vec::new());
    let clock = Call::Clock(ClockId::Monotonic);
    let wait = Call::Wait { deadline_ns: 0, interest: Events::empty() };
    let (_, results) = run(&mut window, &[entry(clock), entry(wait), entry(clock)]);
    assert_eq!(results[1], 0);
    assert!(results[0] <= results[2]);
}
