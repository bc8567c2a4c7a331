//! Scenes: one idea each.

use bytecode::{Count, Invocation, Number, Op, Target, World};

use super::operand::{aligned, byte, device, edge, number_of, place, size, wild};
use crate::fuzz::rng::Rng;

/// A scene of any kind, behind `ops`.
pub(super) fn any(rng: &mut Rng, ops: &mut Vec<Op>) {
    match rng.below(32) {
        0..=3 => ops.push(Op::Call(Invocation::Console(place(rng, false), size(rng, 65_536)))),
        4..=6 => ops.push(Op::Call(Invocation::Entropy(place(rng, true), size(rng, 256)))),
        7 => ops.push(Op::Call(clock(rng))),
        8 | 9 => ops.push(Op::Call(wait(rng))),
        10..=13 => {
            frames(rng, ops, false);
            let send = Invocation::Send(device(rng), target(rng), count(rng));
            ops.push(Op::Call(send));
        }
        14..=17 => {
            let nic = device(rng);
            arrivals(rng, ops, nic);
            frames(rng, ops, true);
            ops.push(Op::Call(Invocation::Receive(nic, target(rng), count(rng))));
        }
        18..=22 => {
            let disk = device(rng);
            requests(rng, ops);
            ops.push(Op::Call(Invocation::Submit(disk, target(rng), count(rng))));
            if !rng.once_in(3) {
                ops.push(Op::Call(reap(rng, disk)));
            }
        }
        23 => {
            let disk = device(rng);
            ops.push(Op::Call(reap(rng, disk)));
        }
        24..=27 => batch(rng, ops),
        28 => ops.push(Op::Call(raw(rng))),
        29 => spoil(rng, ops),
        30 if rng.once_in(3) => full_queue(rng, ops),
        30 => happen(rng, ops),
        _ => overlap(rng, ops),
    }
}

fn clock(rng: &mut Rng) -> Invocation {
    Invocation::Clock(if rng.once_in(6) { edge(rng) } else { Number::Small(byte(rng.below(3))) })
}

fn wait(rng: &mut Rng) -> Invocation {
    let interest = match rng.below(4) {
        0 => edge(rng),
        1 => Number::Raw(1 << rng.below(41)),
        _ => Number::Raw(rng.next() & 0x3_0000_001f),
    };
    Invocation::Wait(Number::Small(byte(rng.below(2))), interest)
}

fn raw(rng: &mut Rng) -> Invocation {
    let nr = if rng.once_in(2) { edge(rng) } else { Number::Small(byte(rng.below(12))) };
    let mut argument = || if rng.once_in(2) { edge(rng) } else { number_of(rng.below(66)) };
    Invocation::Raw(nr, [argument(), argument(), argument(), Number::Small(0)])
}

fn reap(rng: &mut Rng, disk: Number) -> Invocation {
    let count = if rng.once_in(4) { count_at_edge(rng) } else { Count::Of(number_of(1 + rng.below(8))) };
    Invocation::Reap(disk, Target::At(aligned(rng, true)), count)
}

fn target(rng: &mut Rng) -> Target {
    if rng.once_in(40) { Target::At(wild(rng)) } else { Target::Array }
}

fn count(rng: &mut Rng) -> Count {
    match rng.below(24) {
        0 => count_at_edge(rng),
        1 => Count::Put(1),
        2 => Count::Put(-1),
        _ => Count::Put(0),
    }
}

fn count_at_edge(rng: &mut Rng) -> Count {
    Count::Of(match rng.below(4) {
        0 => edge(rng),
        1 => Number::Small(64),
        2 => Number::Small(65),
        _ => Number::Small(0),
    })
}

/// How many entries an array gets: few, or more than a queue takes, or as many as there may be.
fn entries(rng: &mut Rng) -> u64 {
    match rng.below(40) {
        0 => 62 + rng.below(4),
        1 => 10 + rng.below(12),
        _ => 1 + rng.below(3),
    }
}

fn frames(rng: &mut Rng, ops: &mut Vec<Op>, receive: bool) {
    let writable = receive || !rng.once_in(8);
    ops.push(Op::Array(aligned(rng, writable)));
    for _ in 0..entries(rng) {
        let most = if rng.once_in(40) { 65_535 } else { 1514 };
        let offload = if rng.once_in(if receive { 20 } else { 3 }) { rng.byte() } else { 0 };
        let buffer = place(rng, receive);
        let size =
            if rng.once_in(6) { size(rng, most) } else { bytecode::Size::Of(number_of(14 + rng.below(150))) };
        ops.push(Op::Frame { buffer, size, offload });
    }
}

fn arrivals(rng: &mut Rng, ops: &mut Vec<Op>, nic: Number) {
    let count = if rng.once_in(24) { 8 } else { rng.pick(&[0, 1, 1, 1, 1, 2, 2, 3]) };
    for _ in 0..count {
        let size = match rng.below(64) {
            0 => edge(rng),
            1..=8 => number_of(rng.below(16)),
            9..=11 => number_of(1400 + rng.below(200)),
            _ => number_of(14 + rng.below(150)),
        };
        let nic = byte(nic.value() & 1);
        ops.push(Op::World(World::Inject { nic, size, seed: rng.byte() }));
    }
}

fn requests(rng: &mut Rng, ops: &mut Vec<Op>) {
    let writable = !rng.once_in(8);
    ops.push(Op::Array(aligned(rng, writable)));
    for _ in 0..entries(rng) {
        let operation = if rng.once_in(30) { rng.byte() } else { rng.pick(&[0, 0, 0, 1, 1, 1, 2, 3]) };
        if operation == 2 && !rng.once_in(8) {
            let zero = Number::Small(0);
            let data = bytecode::Place { region: 0, anchor: bytecode::Anchor::Zero, delta: 0 };
            ops.push(Op::Request { operation, sector: zero, data, sectors: zero });
            continue;
        }
        let sector = match rng.below(12) {
            0 => edge(rng),
            1 => number_of(rng.pick(&[318, 319, 320, 321, 510, 511, 512, 513])),
            2 | 3 => number_of(420 + rng.below(92)),
            _ => number_of(rng.below(300)),
        };
        let sectors = match rng.below(256) {
            0 => number_of(rng.pick(&[255, 256, 257, 320])),
            1..=8 => edge(rng),
            9..=15 => number_of(rng.below(24)),
            16..=20 => number_of(0),
            _ => number_of(1 + rng.below(3)),
        };
        ops.push(Op::Request { operation, sector, data: place(rng, operation == 0), sectors });
    }
}

/// Any call that a batch may have, with what it needs.
fn queued(rng: &mut Rng, ops: &mut Vec<Op>) {
    let invocation = match rng.below(20) {
        0..=2 => Invocation::Console(place(rng, false), size(rng, 1000)),
        3 | 4 => Invocation::Entropy(place(rng, true), size(rng, 256)),
        5 => clock(rng),
        6 | 7 => wait(rng),
        8..=10 => {
            frames(rng, ops, false);
            Invocation::Send(device(rng), Target::Array, count(rng))
        }
        11 | 12 => {
            let nic = device(rng);
            arrivals(rng, ops, nic);
            frames(rng, ops, true);
            Invocation::Receive(nic, Target::Array, count(rng))
        }
        13..=15 => {
            requests(rng, ops);
            Invocation::Submit(device(rng), Target::Array, count(rng))
        }
        16 => {
            let disk = device(rng);
            reap(rng, disk)
        }
        17 => Invocation::Multicall(aligned(rng, true), number_of(rng.below(4))),
        18 => Invocation::Raw(Number::Small(0), [number_of(rng.below(70)); 4]),
        _ => raw(rng),
    };
    ops.push(Op::Queue(invocation));
}

fn batch(rng: &mut Rng, ops: &mut Vec<Op>) {
    ops.push(Op::Batch(aligned(rng, true)));
    for _ in 0..if rng.once_in(60) { 60 + rng.below(6) } else { 1 + rng.below(5) } {
        queued(rng, ops);
    }
    ops.push(Op::Run(if rng.once_in(16) { rng.pick(&[1, -1, 64]) } else { 0 }));
}

/// A call, and the same with one bit of a register turned over.
fn spoil(rng: &mut Rng, ops: &mut Vec<Op>) {
    any(rng, ops);
    ops.push(Op::Call(Invocation::Spoiled { register: rng.byte(), bit: rng.byte() }));
}

/// More requests than there is room for completions.
fn full_queue(rng: &mut Rng, ops: &mut Vec<Op>) {
    let zero = Number::Small(0);
    let nowhere = bytecode::Place { region: 0, anchor: bytecode::Anchor::Zero, delta: 0 };
    ops.push(Op::Array(bytecode::Place { region: 0, anchor: bytecode::Anchor::Far, delta: 64 }));
    for _ in 0..22 + rng.below(43) {
        ops.push(Op::Request { operation: 2, sector: zero, data: nowhere, sectors: zero });
    }
    let disk = Number::Small(byte(rng.below(2)));
    for _ in 0..1 + rng.below(3) {
        ops.push(Op::Call(Invocation::Submit(disk, Target::Array, Count::Put(0))));
    }
    ops.push(Op::Call(Invocation::Reap(disk, Target::At(aligned(rng, true)), Count::Of(Number::Small(64)))));
}

fn happen(rng: &mut Rng, ops: &mut Vec<Op>) {
    match rng.below(4) {
        0 => {
            ops.push(Op::World(World::Shutdown));
            ops.push(Op::Call(wait(rng)));
        }
        1 => {
            let fewer = if rng.once_in(8) { rng.below(65) } else { rng.below(8) };
            ops.push(Op::World(World::Truncate { disk: 0, pieces: byte(64 - fewer) }));
            requests(rng, ops);
            ops.push(Op::Call(Invocation::Submit(Number::Small(0), Target::Array, Count::Put(0))));
            let disk = Number::Small(0);
            ops.push(Op::Call(reap(rng, disk)));
        }
        2 => ops.push(Op::World(World::Drain { nic: rng.byte() })),
        _ => ops.push(Op::Fill { at: place(rng, true), count: rng.byte(), value: rng.byte() }),
    }
}

/// A batch whose calls write over its own entries.
fn overlap(rng: &mut Rng, ops: &mut Vec<Op>) {
    let mut at = aligned(rng, true);
    at.anchor = bytecode::Anchor::Start;
    ops.push(Op::Batch(at));
    let inside = |rng: &mut Rng| {
        let distance = i16::try_from(rng.below(320)).unwrap_or(0);
        bytecode::Place { delta: at.delta.wrapping_add(distance), ..at }
    };
    for _ in 0..1 + rng.below(4) {
        let place = inside(rng);
        let invocation = match rng.below(4) {
            // What random bytes are written over by cannot always be told, and the rest of such a program is lost.
            0 if rng.once_in(4) => Invocation::Entropy(place, size(rng, 64)),
            0 | 1 => {
                ops.push(Op::Array(inside(rng)));
                ops.push(Op::Request {
                    operation: 0,
                    sector: number_of(rng.below(300)),
                    data: place,
                    sectors: Number::Small(1),
                });
                Invocation::Submit(Number::Small(0), Target::Array, Count::Put(0))
            }
            2 => Invocation::Reap(Number::Small(0), Target::At(place), Count::Of(Number::Small(3))),
            _ => Invocation::Console(place, size(rng, 64)),
        };
        ops.push(Op::Queue(invocation));
    }
    queued(rng, ops);
    ops.push(Op::Word(inside(rng), edge(rng)));
    ops.push(Op::Run(0));
}

/// A call that costs the monitor little.
pub(super) fn cheap(rng: &mut Rng) -> Invocation {
    match rng.below(6) {
        0 => Invocation::Clock(Number::Small(2)),
        1 => Invocation::Console(wild(rng), bytecode::Size::Of(Number::Small(0))),
        2 => Invocation::Reap(Number::Small(0), Target::At(aligned(rng, true)), Count::Of(Number::Small(1))),
        3 => raw(rng),
        4 => Invocation::Clock(Number::Small(0)),
        _ => Invocation::Send(device(rng), Target::At(wild(rng)), Count::Of(Number::Small(1))),
    }
}

/// Sixty-four of them in a batch.
pub(super) fn full_batch(rng: &mut Rng) -> Vec<Op> {
    let start = bytecode::Place { region: 0, anchor: bytecode::Anchor::Start, delta: 0 };
    let mut ops = vec![Op::Batch(start)];
    ops.extend((0..64).map(|_| Op::Queue(cheap(rng))));
    ops.extend((0..8).map(|_| Op::Call(Invocation::Multicall(start, Number::Small(64)))));
    ops
}
