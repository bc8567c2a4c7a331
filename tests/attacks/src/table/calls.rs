//! Section 3: arguments of calls, made by a guest at its gate.

use ::tests::Window;
use hvcall::{RawCall, Status};

use crate::case::{Case, Expected, all, case};
use crate::guest;

const INVAL: Expected = all(&["INVAL"]);
const FAULT: Expected = all(&["FAULT"]);
const NOSYS: Expected = all(&["NOSYS"]);
const NODEV: Expected = all(&["NODEV"]);
const ZERO: Expected = all(&["gives 0x0"]);
const ONE: Expected = all(&["gives 0x1"]);
const DONE: Expected = all(&["done"]);

/// Row, what, the registers: RAX, RDI, RSI, RDX, R10, R8, R9.
#[rustfmt::skip]
const TABLE: &[(u32, &str, &[&str], Expected)] = &[
    (121, "first-number-there-is-not", &["10"], NOSYS),
    (121, "largest-number", &["0xffffffff"], NOSYS),
    (121, "number-335", &["335"], NOSYS),
    (121, "number-336", &["336"], NOSYS),
    (121, "number-of-linux-exit", &["231"], NOSYS),
    (121, "number-of-x32", &["0x40000001"], NOSYS),
    (121, "number-of-munmap", &["11"], NOSYS),
    (121, "restart-code", &["0xfffffe00"], NOSYS),
    (121, "upper-half-of-the-number", &["0x700000007"], DONE),
    (121, "sign-bit-of-the-number", &["0x8000000000000007"], DONE),
    (122, "clock-with-second-argument", &["7", "0", "1"], INVAL),
    (122, "clock-with-sixth-argument", &["7", "0", "0", "0", "0", "0", "0x8000000000000000"], INVAL),
    (122, "wait-with-third-argument", &["2", "0", "0", "1"], INVAL),
    (122, "entropy-with-fourth-argument", &["8", "heap", "8", "0", "1"], INVAL),
    (122, "console-with-fifth-argument", &["1", "text", "1", "0", "0", "1"], INVAL),
    (122, "multicall-with-third-argument", &["9", "heap", "0", "1"], INVAL),
    (123, "console-from-0", &["1", "0", "1"], FAULT),
    (123, "console-from-4-gib", &["1", "0x100000000", "1"], FAULT),
    (123, "console-of-the-last-byte", &["1", "heap_end-1", "1"], ONE),
    (123, "console-past-the-last-byte", &["1", "heap_end-1", "2"], FAULT),
    (123, "console-from-the-end", &["1", "heap_end", "1"], FAULT),
    (123, "console-from-before", &["1", "heap-1", "1"], FAULT),
    (123, "entropy-to-the-last-byte", &["8", "heap_end-1", "1"], ONE),
    (123, "entropy-past-the-last-byte", &["8", "heap_end-1", "2"], FAULT),
    (123, "entropy-past-the-stack", &["8", "stack_end-4", "8"], FAULT),
    (123, "entropy-below-the-stack", &["8", "stack-4", "8"], FAULT),
    (124, "console-that-wraps", &["1", "0xffffffffffffffff", "2"], FAULT),
    (124, "console-that-wraps-to-1", &["1", "0xfffffffffffffff8", "9"], FAULT),
    (124, "entropy-that-wraps", &["8", "0xffffffffffffff00", "256"], FAULT),
    (124, "multicall-that-wraps", &["9", "0xfffffffffffffff8", "64"], FAULT),
    (124, "console-non-canonical", &["1", "0x800000000000", "16"], FAULT),
    (124, "console-of-the-kernel", &["1", "0xffffffff81000000", "16"], FAULT),
    (124, "console-of-the-vsyscall-page", &["1", "0xffffffffff600000", "16"], FAULT),
    (126, "console-that-leaves-the-heap", &["1", "heap_end-8", "16"], FAULT),
    (126, "console-that-leaves-the-heap-by-much", &["1", "heap_end-8", "0x10000"], FAULT),
    (126, "entropy-that-leaves-the-heap", &["8", "heap_end-128", "256"], FAULT),
    (126, "multicall-that-leaves-the-heap", &["9", "heap_end-64", "2"], FAULT),
    (129, "multicall-misaligned-by-1", &["9", "heap+1", "1"], INVAL),
    (129, "multicall-misaligned-by-4", &["9", "heap+4", "1"], INVAL),
    (129, "net-send-misaligned", &["3", "0", "heap+4", "1"], INVAL),
    (129, "entropy-misaligned", &["8", "heap+0x8001", "3"], all(&["gives 0x3"])),
    (131, "entropy-to-text", &["8", "text", "8"], FAULT),
    (131, "entropy-to-the-gate", &["8", "gate", "8"], FAULT),
    (131, "entropy-to-constants", &["8", "constant", "8"], FAULT),
    (131, "entropy-to-boot-information", &["8", "boot", "8"], FAULT),
    (132, "console-from-text", &["1", "text", "16"], all(&["gives 0x10"])),
    (132, "console-from-the-gate", &["1", "gate", "3"], all(&["gives 0x3"])),
    (135, "console-from-a-physical-address", &["1", "0x200000000", "16"], FAULT),
    (135, "entropy-to-a-physical-address", &["8", "0x180000000", "8"], FAULT),
    (137, "multicall-in-constants", &["9", "constant-0", "1"], FAULT),
    (137, "multicall-in-boot-information", &["9", "boot", "1"], FAULT),
    (137, "multicall-in-the-gate", &["9", "gate", "1"], FAULT),
    (143, "net-send-to-nic-0", &["3", "0", "heap", "1"], NODEV),
    (143, "net-receive-from-nic-7", &["4", "7", "heap", "1"], NODEV),
    (143, "net-send-to-nic-8", &["3", "8", "heap", "1"], NODEV),
    (143, "block-submit-to-disk-0", &["5", "0", "heap", "1"], NODEV),
    (143, "block-reap-of-disk-7", &["6", "7", "heap", "1"], NODEV),
    (143, "net-send-to-nic-2-to-31", &["3", "0x80000000", "heap", "1"], NODEV),
    (143, "block-submit-to-disk-minus-1", &["5", "0xffffffffffffffff", "heap", "1"], NODEV),
    (143, "block-submit-to-disk-2-to-32", &["5", "0x100000000", "heap", "1"], NODEV),
    (148, "console-of-nothing", &["1", "heap", "0"], INVAL),
    (148, "console-of-too-much", &["1", "heap", "65537"], INVAL),
    (148, "console-of-2-to-40", &["1", "heap", "0x10000000000"], INVAL),
    (148, "console-of-minus-1", &["1", "heap", "0xffffffffffffffff"], INVAL),
    (148, "multicall-of-65", &["9", "heap", "65"], INVAL),
    (148, "multicall-of-2-to-58", &["9", "heap", "0x400000000000000"], INVAL),
    (148, "multicall-of-none", &["9", "heap", "0"], ZERO),
    (148, "net-send-of-65", &["3", "0", "heap", "65"], INVAL),
    (156, "wait-for-an-unknown-event", &["2", "0", "0x8000000000000000"], INVAL),
    (156, "wait-for-an-absent-nic", &["2", "0", "2"], INVAL),
    (156, "wait-for-an-absent-disk", &["2", "0", "0x100000000"], INVAL),
    (156, "wait-for-everything", &["2", "0", "0xffffffffffffffff"], INVAL),
    (156, "wait-until-the-past", &["2", "1", "1"], ZERO),
    (156, "wait-that-polls", &["2", "0", "0"], ZERO),
    (157, "clock-2", &["7", "2"], INVAL),
    (157, "clock-minus-1", &["7", "0xffffffffffffffff"], INVAL),
    (157, "clock-2-to-32", &["7", "0x100000000"], INVAL),
    (157, "clock-1", &["7", "1"], DONE),
    (158, "entropy-of-nothing", &["8", "heap", "0"], INVAL),
    (158, "entropy-of-257", &["8", "heap", "257"], INVAL),
    (158, "entropy-of-2-to-40", &["8", "heap", "0x10000000000"], INVAL),
    (158, "entropy-of-256", &["8", "heap+0x8000", "256"], all(&["gives 0x100"])),
    (159, "exit-63", &["0", "63"], all(&["exit 63"])),
    (159, "exit-64", &["0", "64"], all(&["bad exit"])),
    (159, "exit-2-to-31", &["0", "0x80000000"], all(&["bad exit"])),
    (159, "exit-minus-1", &["0", "0xffffffffffffffff"], all(&["bad exit"])),
    (159, "exit-of-a-panic", &["0", "0x100000000"], all(&["panic"])),
    (159, "exit-of-a-panic-and-more", &["0", "0x100000001"], all(&["bad exit"])),
    (159, "exit-with-second-argument", &["0", "0", "1"], all(&["bad exit"])),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let of_row =
        |&(row, what, registers, expected): &(u32, &'static str, &'static [&'static str], Expected)| {
            case(row, what, expected, move |host| {
                let words: Vec<&str> = ["gate"].iter().chain(registers).copied().collect();
                guest::attack(host, &words).map(|got| status(&got))
            })
        };
    let mut cases: Vec<Case> = TABLE.iter().map(of_row).collect();
    cases.extend([
        case(121, "every-number-of-16-bits", all(&["NOSYS for all but ten"]), |_| Ok(numbers())),
        case(122, "every-bit-of-every-unused-slot", all(&["INVAL"]), |_| Ok(unused_bits())),
    ]);
    cases
}

/// A value that is a status, by its name.
fn status(got: &str) -> String {
    const NAMES: [(Status, &str); 8] = [
        (Status::INVAL, "INVAL"),
        (Status::FAULT, "FAULT"),
        (Status::NOSYS, "NOSYS"),
        (Status::NODEV, "NODEV"),
        (Status::ROFS, "ROFS"),
        (Status::IO, "IO"),
        (Status::AGAIN, "AGAIN"),
        (Status::NOSPC, "NOSPC"),
    ];
    let value = got.strip_prefix("gives 0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let status = value.and_then(|value| Status::from_result(value.cast_signed()).err());
    let name = status.and_then(|status| NAMES.iter().find(|(known, _)| *known == status));
    name.map_or(got, |(_, name)| name).to_owned()
}

/// Every number that is no call's, by the dispatcher alone.
fn numbers() -> String {
    let mut window = Window::new(Vec::new(), Vec::new());
    let others = (10..0x1_0000_u64).chain((0..64).map(|bit| 1 << bit | 0xff));
    let answered =
        others.filter(|&nr| window.raw_call(RawCall { nr, arguments: [0; 6] }) != Status::NOSYS.to_result());
    match answered.count() {
        0 => "NOSYS for all but ten".to_owned(),
        count => format!("{count} are answered"),
    }
}

/// Every single bit in every slot that a call does not use.
fn unused_bits() -> String {
    let mut window = Window::new(Vec::new(), Vec::new());
    let heap = window.heap();
    for (nr, used, arguments) in [
        (1, 2, [heap, 1, 0, 0, 0, 0]),
        (2, 2, [0; 6]),
        (3, 3, [0, heap, 1, 0, 0, 0]),
        (4, 3, [0, heap, 1, 0, 0, 0]),
        (5, 3, [0, heap, 1, 0, 0, 0]),
        (6, 3, [0, heap, 1, 0, 0, 0]),
        (7, 1, [0; 6]),
        (8, 2, [heap, 8, 0, 0, 0, 0]),
        (9, 2, [heap, 0, 0, 0, 0, 0]),
    ] {
        for slot in used..6 {
            for bit in 0..64 {
                let mut arguments = arguments;
                arguments[slot] = 1 << bit;
                let result = window.raw_call(RawCall { nr, arguments });
                if result != Status::INVAL.to_result() {
                    return format!("call {nr}, slot {slot}, bit {bit}: {result}");
                }
            }
        }
    }
    "INVAL".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_names() {
        let got: crate::case::Got = Ok(format!("gives {:#x}", Status::FAULT.to_result()));
        assert_eq!(got.map(|got| status(&got)), Ok("FAULT".to_owned()));
        assert_eq!(status("gives 0x10"), "gives 0x10");
        assert_eq!(status("#GP"), "#GP");
    }
}
