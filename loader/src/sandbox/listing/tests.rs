#![expect(clippy::cast_possible_truncation, reason = "random numbers, and halves of words")]

use super::*;
use crate::sandbox::rules::{Rules, at_most, int, on, without, word};
use crate::sandbox::{Descriptors, DiskDescriptor};

/// What the program says of a call, by the rules of classic BPF.
fn verdict(program: &[sock_filter], data: &[u32; WORDS]) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let instruction = &program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { instruction.jt } else { instruction.jf });
        match u32::from(instruction.code) {
            LOAD => accumulator = data[instruction.k as usize / 4],
            AND => accumulator &= instruction.k,
            JUMP => at += instruction.k as usize,
            EQUAL => at += jump(accumulator == instruction.k),
            GREATER => at += jump(accumulator > instruction.k),
            AT_LEAST => at += jump(accumulator >= instruction.k),
            RETURN => return instruction.k,
            code => panic!("no such code {code:#x}"),
        }
    }
}

fn allows(pin: Pin, value: u64) -> bool {
    match pin {
        Pin::Any => true,
        // All arguments that tests pin to 32 bits have an upper half of 0 here.
        Pin::Equal(wanted) => value == wanted,
        Pin::AtMost(most) => value <= most,
        Pin::Bits { mask, value: bits } => (value & u64::from(mask)) == u64::from(bits),
    }
}

fn full() -> Descriptors {
    let disk = |fd, read_only| DiskDescriptor { fd, size_bytes: 1 << 33, read_only };
    Descriptors {
        vcpu: 3,
        vcpu_ioctls: [0xae80, 0x8138_ae83],
        signals: 4,
        report: 5,
        console: 6,
        nics: vec![7, 8],
        disks: vec![disk(9, false), disk(10, true)],
        core: Some(11),
        clock: Some(12),
    }
}

#[test]
fn a_monitor_makes_six_calls_and_ten_with_disks() {
    let numbers = |keep: &Descriptors| {
        let mut numbers: Vec<u32> =
            ways(&keep.filter().unwrap()).unwrap().iter().map(|way| way.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let without = Descriptors { disks: Vec::new(), ..full() };
    assert_eq!(numbers(&without).len(), 6);
    assert_eq!(numbers(&full()).len(), 10);
    for number in numbers(&full()) {
        assert!(name(number).is_some(), "{number} has a name");
    }
}

/// The list and the program agree, for every number and for arguments around every value in the list.
#[test]
fn the_list_is_what_the_program_does() {
    let program = full().filter().unwrap();
    let listed = ways(&program).unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut values = vec![0, 1, 2, 3, 4, u64::MAX];
    for way in &listed {
        for pin in way.arguments {
            if let Pin::Equal(value) | Pin::AtMost(value) = pin {
                values.extend([value.wrapping_sub(1), value, value + 1, value ^ 1 << 32]);
            }
        }
    }
    let mut allowed = 0;
    for number in (0..1024).chain((0..1024).map(|number| number | 0x4000_0000)) {
        for _ in 0..400 {
            let mut arguments = [0; 6].map(|_: u64| values[next() as usize % values.len()]);
            // A random call hardly ever meets three pins at once: start from one that does.
            if let Some(way) = listed.iter().filter(|way| way.number == number).nth(next() as usize % 8) {
                for (argument, pin) in arguments.iter_mut().zip(way.arguments) {
                    if let (Pin::Equal(value) | Pin::AtMost(value), false) = (pin, next() % 8 == 0) {
                        *argument = value;
                    }
                }
            }
            // Upper halves of 32-bit arguments do not count, so leave them out of the comparison.
            arguments[0] &= 0xffff_ffff;
            if matches!(i64::from(number), libc::SYS_fallocate) {
                arguments[1] &= 0xffff_ffff;
            }
            if matches!(i64::from(number), libc::SYS_getrandom) {
                arguments[2] &= 0xffff_ffff;
            }
            let mut data = [0; WORDS];
            (data[NUMBER], data[ARCHITECTURE]) = (number, X86_64);
            for (index, argument) in arguments.iter().enumerate() {
                data[FIRST_ARGUMENT + 2 * index] = *argument as u32;
                data[FIRST_ARGUMENT + 2 * index + 1] = (argument >> 32) as u32;
            }
            let by_list = listed.iter().any(|way| {
                way.number == number
                    && way.arguments.iter().zip(arguments).all(|(pin, value)| allows(*pin, value))
            });
            let by_program = verdict(&program, &data);
            let expected = if by_list { libc::SECCOMP_RET_ALLOW } else { libc::SECCOMP_RET_KILL_PROCESS };
            assert_eq!(by_program, expected, "call {number} {arguments:x?}");
            allowed += usize::from(by_list);
            data[ARCHITECTURE] = 0x4000_0003;
            assert_eq!(verdict(&program, &data), libc::SECCOMP_RET_KILL_PROCESS, "i386 {number}");
        }
    }
    assert!(allowed > 500, "{allowed} of the calls were allowed: the test is not about nothing");
}

#[test]
fn pins_of_every_kind_are_read_back() {
    let mut rules = Rules::default();
    rules.pinned(1, &[on(7), at_most(2, 0x1_0000_0005), word(3, 0xffff_ffff_0000_0001), without(4, 4)]);
    rules.pinned(1, &[on(8), int(1, -1)]);
    rules.any(2);
    let ways = ways(&rules.program().unwrap()).unwrap();
    let first: Vec<_> = ways.iter().filter(|way| way.arguments[0] == Pin::Equal(7)).collect();
    // "At most" of 64 bits is two ways for the processor: a smaller upper half, or the same and a smaller lower one.
    assert!(!first.is_empty());
    for way in first {
        assert_eq!(way.arguments[3], Pin::Equal(0xffff_ffff_0000_0001));
        assert_eq!(way.arguments[4], Pin::Bits { mask: 4, value: 0 });
        assert!(matches!(way.arguments[2], Pin::AtMost(most) if most <= 0x1_0000_0005), "{way:?}");
    }
    let second = ways.iter().find(|way| way.arguments[0] == Pin::Equal(8)).unwrap();
    assert_eq!(second.arguments[1], Pin::Equal(0xffff_ffff));
    assert!(ways.contains(&Way { number: 2, arguments: [Pin::Any; 6] }));
}

/// An argument, the kind of its pin, and a value.
type ModelPin = (usize, u64, u64);

/// Whatever the rules, the program allows what they say and nothing else.
#[test]
fn random_rules_become_programs_that_do_what_they_say() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    const VALUES: [u64; 6] = [0, 1, 2, 0x1_0000_0001, 0x2_0000_0000, u64::MAX];
    let (mut allowed, mut killed) = (0, 0);
    for _ in 0..500 {
        let mut rules = Rules::default();
        let mut model = Vec::<(u32, Vec<ModelPin>)>::new();
        for _ in 0..=below(6) {
            let number = 10 + below(3);
            let pins: Vec<_> =
                (0..below(4)).map(|_| (below(3), below(4), VALUES[below(6) as usize])).collect();
            let built: Vec<_> = pins
                .iter()
                .map(|&(argument, kind, value)| match kind {
                    0 => int(argument as u8, value as i32),
                    1 => word(argument as u8, value),
                    2 => at_most(argument as u8, value),
                    _ => without(argument as u8, value as i32),
                })
                .collect();
            rules.pinned(number.cast_signed(), &built);
            model.push((number as u32, pins.iter().map(|pin| (pin.0 as usize, pin.1, pin.2)).collect()));
        }
        let program = rules.program().unwrap();
        for _ in 0..200 {
            let number = 9 + below(5) as u32;
            let arguments = [0; 3].map(|_: u64| VALUES[below(6) as usize]);
            let mut data = [0; WORDS];
            (data[NUMBER], data[ARCHITECTURE]) = (number, X86_64);
            for (index, argument) in arguments.iter().enumerate() {
                data[FIRST_ARGUMENT + 2 * index] = *argument as u32;
                data[FIRST_ARGUMENT + 2 * index + 1] = (argument >> 32) as u32;
            }
            let holds = |&(at, kind, value): &ModelPin| match kind {
                0 => arguments[at] as u32 == value as u32,
                1 => arguments[at] == value,
                2 => arguments[at] <= value,
                _ => arguments[at] as u32 & value as u32 == 0,
            };
            let expected = model.iter().any(|(call, pins)| *call == number && pins.iter().all(holds));
            let verdict = verdict(&program, &data);
            assert_eq!(verdict == libc::SECCOMP_RET_ALLOW, expected, "{model:x?} {number} {arguments:x?}");
            if expected { allowed += 1 } else { killed += 1 }
        }
    }
    assert!(allowed > 5_000 && killed > 5_000, "{allowed} allowed, {killed} not");
}

/// It is read by the kernel at every start: a longer one is noticed here.
#[test]
fn programs_are_short() {
    let bare = Descriptors { disks: Vec::new(), nics: Vec::new(), core: None, ..full() };
    assert!(bare.filter().unwrap().len() <= 64, "{} instructions", bare.filter().unwrap().len());
}

#[test]
fn programs_that_allow_too_much_are_not_listed() {
    let allow = sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    assert_eq!(ways(&[allow]), Err(ListingError::Unbounded));
    assert_eq!(ways(&[]), Err(ListingError::Instruction(0)));
    let odd = sock_filter { code: 0x07, jt: 0, jf: 0, k: 0 };
    assert_eq!(ways(&[odd]), Err(ListingError::Instruction(0)));
}
