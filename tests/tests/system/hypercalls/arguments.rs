//! Addresses and lengths: a call takes only memory that is the guest's own, and writes only what the guest may write.

use hvcall::call::ClockId;
use hvcall::{Call, GuestArray, GuestExit, GuestSlice, Gva, Nr, RawCall, Status};
use loader::layout::RegionKind;
use loader::monitor::dispatch::Flow;
use tests::Window;

const FAULT: i64 = Status::FAULT.to_result();
const INVAL: i64 = Status::INVAL.to_result();

/// Regions that a guest may read, and whether it may write them.
const OWN: [(RegionKind, bool); 6] = [
    (RegionKind::Text, false),
    (RegionKind::ReadOnlyData, false),
    (RegionKind::BootInfo, false),
    (RegionKind::Data, true),
    (RegionKind::Stack, true),
    (RegionKind::Heap, true),
];

/// Regions that are the monitor's.
const MONITORS: [RegionKind; 4] =
    [RegionKind::Stubs, RegionKind::FaultStack, RegionKind::DoubleFaultStack, RegionKind::Descriptors];

fn window() -> Window {
    Window::new(Vec::new(), Vec::new())
}

fn slice(address: u64, size_bytes: u64) -> GuestSlice {
    GuestSlice { address: Gva(address), size_bytes }
}

fn array(address: u64, count: u64) -> GuestArray {
    GuestArray { address: Gva(address), count }
}

#[test]
fn only_writable_regions_are_destinations() {
    let mut window = window();
    for (kind, writable) in OWN {
        let base = window.plan.region(kind).gva.0;
        let expected = if writable { 16 } else { FAULT };
        assert_eq!(window.call(&Call::Entropy(slice(base, 16))), expected, "{kind:?}");
        let expected = if writable { 1 } else { FAULT };
        assert_eq!(window.call(&Call::Multicall(array(base, 1))), expected, "{kind:?}");
        assert_eq!(window.call(&Call::Multicall(array(base, 0))), 0, "{kind:?}: no entry is outside");
    }
    assert!(window.dispatcher.memory.sealed().bytes().iter().all(|&byte| byte == 0x5e));
}

#[test]
fn every_own_region_is_a_source_to_its_last_byte() {
    let mut window = window();
    for (kind, _) in OWN {
        let (base, end) = (window.plan.region(kind).gva.0, window.plan.region(kind).end().0);
        for (address, size_bytes) in [(base, 1), (end - 1, 1), (base, 4096)] {
            let result = window.call(&Call::ConsoleWrite(slice(address, size_bytes)));
            assert_eq!(result, size_bytes.cast_signed(), "{kind:?}");
            assert_eq!(window.console().len() as u64, size_bytes);
        }
    }
}

#[test]
fn ranges_that_leave_their_region_fault() {
    let mut window = window();
    for (kind, _) in OWN {
        let (base, end) = (window.plan.region(kind).gva.0, window.plan.region(kind).end().0);
        for (address, size_bytes) in
            [(end - 1, 2), (end, 1), (base - 1, 1), (base - 1, 2), (base, 65_537.min(end - base + 1))]
        {
            let size_bytes = size_bytes.min(hvcall::MAX_CONSOLE_BYTES);
            if address < base || address + size_bytes > end {
                let result = window.call(&Call::ConsoleWrite(slice(address, size_bytes)));
                assert_eq!(result, FAULT, "{kind:?} {address:#x} {size_bytes}");
            }
        }
    }
    assert_eq!(window.console(), b"");
}

#[test]
fn wrapping_low_and_non_canonical_addresses_fault() {
    let mut window = window();
    let addresses = [0, 1, 0xffff_ffff, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 255, u64::MAX];
    for address in addresses {
        assert_eq!(window.call(&Call::ConsoleWrite(slice(address, 256))), FAULT, "{address:#x}");
        assert_eq!(window.call(&Call::Entropy(slice(address, 256))), FAULT, "{address:#x}");
        assert_eq!(window.call(&Call::Multicall(array(address & !7, 64))), FAULT, "{address:#x}");
    }
}

#[test]
fn the_monitors_own_pages_are_nobodys() {
    let mut window = window();
    for kind in MONITORS {
        let region = *window.plan.region(kind);
        for address in [region.gva.0, region.end().0 - 8] {
            assert_eq!(window.call(&Call::ConsoleWrite(slice(address, 8))), FAULT, "{kind:?}");
            assert_eq!(window.call(&Call::Entropy(slice(address, 8))), FAULT, "{kind:?}");
        }
    }
}

#[test]
fn lengths_and_unused_slots_are_checked_before_memory() {
    let mut window = window();
    let heap = window.heap();
    let raw = |nr: Nr, arguments| RawCall { nr: nr as u64, arguments };
    for call in [
        raw(Nr::ConsoleWrite, [heap, 0, 0, 0, 0, 0]),
        raw(Nr::ConsoleWrite, [heap, 65_537, 0, 0, 0, 0]),
        raw(Nr::ConsoleWrite, [heap, 1, 1, 0, 0, 0]),
        raw(Nr::ConsoleWrite, [0, u64::MAX, 0, 0, 0, 0]),
        raw(Nr::Entropy, [heap, 257, 0, 0, 0, 0]),
        raw(Nr::Entropy, [heap, 1, 0, 0, 0, 1]),
        raw(Nr::Multicall, [heap + 4, 1, 0, 0, 0, 0]),
        raw(Nr::Multicall, [heap, 65, 0, 0, 0, 0]),
        raw(Nr::Clock, [2, 0, 0, 0, 0, 0]),
        raw(Nr::Wait, [0, 1 << 1, 0, 0, 0, 0]),
        raw(Nr::Wait, [0, 1 << 32, 0, 0, 0, 0]),
        raw(Nr::Wait, [u64::MAX, 1 << 63, 0, 0, 0, 0]),
    ] {
        assert_eq!(window.raw_call(call), INVAL, "{call:x?}");
    }
    assert_eq!(window.console(), b"");
}

#[test]
fn devices_that_are_not_there_are_said_so() {
    let mut window = window();
    let entries = array(window.heap(), 1);
    for call in [
        Call::NetSend { device: 0, frames: entries },
        Call::NetRecv { device: 7, frames: entries },
        Call::BlockSubmit { device: 0, requests: entries },
        Call::BlockReap { device: 7, completions: entries },
    ] {
        assert_eq!(window.call(&call), Status::NODEV.to_result(), "{call:?}");
    }
}

#[test]
fn upper_half_of_the_number_is_ignored_and_unknown_numbers_are_refused() {
    let mut window = window();
    let clock = Call::Clock(ClockId::Monotonic).encode();
    assert!(window.raw_call(RawCall { nr: clock.nr | 0xdead_beef << 32, ..clock }) >= 0);
    for nr in [10, 0x7fff_ffff, 0xffff_ffff] {
        assert_eq!(window.raw_call(RawCall { nr, ..clock }), Status::NOSYS.to_result());
    }
}

#[test]
fn only_contracted_ends_are_ends() {
    let mut window = window();
    let exit = |argument, unused| RawCall { nr: 0, arguments: [argument, unused, 0, 0, 0, 0] };
    assert_eq!(window.dispatcher.call(&exit(63, 0)), Flow::Exit(GuestExit::Status(63)));
    assert_eq!(window.dispatcher.call(&exit(1 << 32, 0)), Flow::Exit(GuestExit::Panic));
    for argument in [64, 255, 1 << 31, 1 << 32 | 1, u64::MAX] {
        assert_eq!(window.dispatcher.call(&exit(argument, 0)), Flow::BadExit(argument));
    }
    assert_eq!(window.dispatcher.call(&exit(0, 1)), Flow::BadExit(0));
}

#[test]
fn entropy_fills_what_was_asked_for_and_no_more() {
    let mut window = window();
    let heap = window.heap();
    assert_eq!(window.call(&Call::Entropy(slice(heap + 1, 256))), 256);
    let bytes = window.peek(heap, 258);
    assert_eq!((bytes[0], bytes[257]), (0, 0));
    // That 256 random bytes hold 40 zeros has a chance far below 2^-100.
    assert!(bytes.iter().filter(|&&byte| byte == 0).count() < 40);
    assert_eq!(window.call(&Call::Entropy(slice(heap + 1, 256))), 256);
    assert_ne!(window.peek(heap, 258), bytes);
}
