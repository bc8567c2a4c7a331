//! Programs from programs.

use bytecode::{MAX_OPS, Op, Reader};

use super::generate;
use super::rng::Rng;

/// Changes a program in a few places; `other` is one to take from.
pub fn mutate(rng: &mut Rng, ops: &mut Vec<Op>, other: &[u8]) {
    for _ in 0..1 + rng.below(4) {
        once(rng, ops, other);
    }
    ops.truncate(MAX_OPS);
}

fn once(rng: &mut Rng, ops: &mut Vec<Op>, other: &[u8]) {
    if ops.is_empty() {
        ops.extend(generate::scene(rng));
        return;
    }
    let at = rng.index(ops.len());
    match rng.below(10) {
        0 => drop(ops.remove(at)),
        1 => ops.insert(at, ops[at]),
        2 => {
            let with = rng.index(ops.len());
            ops.swap(at, with);
        }
        3 | 4 => drop(ops.splice(at..at, generate::scene(rng))),
        5 if !other.is_empty() => {
            let other = generate::decode(other);
            let from = rng.index(other.len().max(1)).min(other.len());
            let to = (from + 1 + rng.index(8)).min(other.len());
            drop(ops.splice(at..at, other[from..to].iter().copied()));
        }
        _ => change_operand(rng, &mut ops[at]),
    }
}

/// Changes a byte of an operation's byte form, but for the one that says which operation it is.
fn change_operand(rng: &mut Rng, op: &mut Op) {
    let mut bytes = Vec::with_capacity(48);
    op.encode(&mut bytes);
    if bytes.len() > 1 {
        let at = 1 + rng.index(bytes.len() - 1);
        match rng.below(4) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = bytes[at].wrapping_add(1),
            2 => bytes[at] = bytes[at].wrapping_sub(1),
            _ => bytes[at] = rng.byte(),
        }
    }
    // A number may have become longer.
    bytes.extend_from_slice(&rng.next().to_le_bytes());
    if let Some(changed) = Op::decode(&mut Reader::new(&bytes)) {
        *op = changed;
    }
}
