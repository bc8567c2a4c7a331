//! Targets that take any bytes: mutation without structure, from seeds that are right.

use super::Target;
use crate::fuzz::model::Violation;
use crate::fuzz::rng::Rng;
use crate::fuzz::world::Depth;

/// What an input did, as one number, or what is wrong with it.
type Run = Box<dyn FnMut(&[u8]) -> Result<u32, Violation>>;

/// A function that takes bytes.
pub(super) struct Bytes {
    seeds: Vec<Vec<u8>>,
    /// Pieces that mean something to it.
    words: &'static [&'static [u8]],
    most: usize,
    run: Run,
    features: [u32; 1],
}

impl Bytes {
    pub(super) fn new(
        seeds: Vec<Vec<u8>>,
        words: &'static [&'static [u8]],
        run: impl FnMut(&[u8]) -> Result<u32, Violation> + 'static,
    ) -> Self {
        let most = seeds.iter().map(Vec::len).max().unwrap_or(0).max(64) * 2;
        Self { seeds, words, most, run: Box::new(run), features: [0] }
    }
}

impl Target for Bytes {
    fn run(&mut self, input: &[u8], _depth: Depth) -> Result<(), Violation> {
        self.features = [(self.run)(input)?];
        Ok(())
    }

    fn generate(&mut self, rng: &mut Rng, input: &mut Vec<u8>) {
        if rng.once_in(64) {
            let len = rng.below(200);
            input.extend((0..len).map(|_| rng.byte()));
            return;
        }
        let seed = rng.index(self.seeds.len());
        input.extend_from_slice(&self.seeds[seed]);
        for _ in 0..rng.below(4) {
            change(rng, input, self.words, &[]);
        }
    }

    fn mutate(&mut self, rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..1 + rng.below(4) {
            change(rng, input, self.words, other);
        }
        input.truncate(self.most);
    }

    fn features(&self) -> &[u32] {
        &self.features
    }
}

/// Numbers at which code tends to be wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    7,
    8,
    64,
    4095,
    4096,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    1 << 47,
    i64::MAX as u64,
    u64::MAX - 7,
    u64::MAX,
];

fn change(rng: &mut Rng, input: &mut Vec<u8>, words: &[&[u8]], other: &[u8]) {
    if input.is_empty() {
        input.push(rng.byte());
        return;
    }
    // Headers are where the decisions are.
    let near = if rng.once_in(2) { input.len().min(256) } else { input.len() };
    let at = rng.index(near);
    match rng.below(10) {
        0 => input[at] ^= 1 << rng.below(8),
        1 => input[at] = rng.byte(),
        2 => input[at] = input[at].wrapping_add(1),
        3 => input[at] = input[at].wrapping_sub(1),
        4 | 5 => {
            let width = rng.pick(&[1, 2, 4, 8]);
            let edge = rng.pick(&EDGES).wrapping_add(rng.below(3)).wrapping_sub(1).to_le_bytes();
            let at = at / width * width;
            for (byte, value) in input[at..].iter_mut().take(width).zip(edge) {
                *byte = value;
            }
        }
        6 => input.truncate(at),
        7 if !words.is_empty() => {
            let word = rng.pick(words);
            let end = if rng.once_in(2) { at } else { (at + word.len()).min(input.len()) };
            drop(input.splice(at..end, word.iter().copied()));
        }
        8 if !other.is_empty() => {
            let from = rng.index(other.len());
            let to = (from + 1 + rng.index(64)).min(other.len());
            let end = if rng.once_in(2) { at } else { (at + to - from).min(input.len()) };
            drop(input.splice(at..end, other[from..to].iter().copied()));
        }
        _ => {
            let from = rng.index(input.len());
            let len = 1 + rng.index(16);
            let piece: Vec<u8> = input[from..].iter().copied().take(len).collect();
            let end = if rng.once_in(2) { at } else { (at + piece.len()).min(input.len()) };
            drop(input.splice(at..end, piece));
        }
    }
}

/// The input without a part of it: halves first, single bytes last.
pub(super) fn shrink(input: &[u8], attempt: usize) -> Option<Vec<u8>> {
    let mut chunk = input.len().div_ceil(2).max(1);
    let mut left = attempt;
    loop {
        let attempts = input.len().div_ceil(chunk);
        if left < attempts {
            let from = left * chunk;
            let to = (from + chunk).min(input.len());
            return Some([&input[..from], &input[to..]].concat());
        }
        left -= attempts;
        if chunk == 1 {
            return None;
        }
        chunk /= 2;
    }
}
