//! Programs from random numbers: scenes of calls that are mostly right, with something wrong here and there.

mod operand;
mod scene;

use bytecode::Op;

use super::rng::Rng;

/// Most operations that [`program`] makes before it ends a program.
const ENOUGH_OPS: usize = 96;

/// A program of a few scenes.
#[must_use]
pub fn program(rng: &mut Rng) -> Vec<Op> {
    let mut ops = Vec::with_capacity(32);
    loop {
        scene::any(rng, &mut ops);
        if rng.once_in(2) || ops.len() > ENOUGH_OPS {
            return ops;
        }
    }
}

/// Full batches of cheap calls.
#[must_use]
pub fn burst(rng: &mut Rng) -> Vec<Op> {
    scene::full_batch(rng)
}

/// Cheap calls, one by one.
#[must_use]
pub fn singles(rng: &mut Rng) -> Vec<Op> {
    (0..64).map(|_| Op::Call(scene::cheap(rng))).collect()
}

/// One scene: the calls of one idea, with what they need.
#[must_use]
pub fn scene(rng: &mut Rng) -> Vec<Op> {
    let mut ops = Vec::new();
    scene::any(rng, &mut ops);
    ops
}

/// The byte form of a program.
#[must_use]
pub fn encode(ops: &[Op]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ops.len() * 10);
    encode_to(ops, &mut bytes);
    bytes
}

/// Replaces `bytes` by the byte form of a program.
pub fn encode_to(ops: &[Op], bytes: &mut Vec<u8>) {
    bytes.clear();
    for op in ops {
        op.encode(bytes);
    }
    bytes.truncate(bytecode::MAX_PROGRAM_BYTES);
}

/// The operations of a program.
#[must_use]
pub fn decode(bytes: &[u8]) -> Vec<Op> {
    let mut reader = bytecode::Reader::new(bytes);
    std::iter::from_fn(|| Op::decode(&mut reader)).take(bytecode::MAX_OPS).collect()
}
