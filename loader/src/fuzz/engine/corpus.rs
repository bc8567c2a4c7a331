//! Inputs that did something new.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzz::rng::Rng;

/// Most inputs that are kept.
const MOST: usize = 4096;
/// An input of so many bytes has to do more that is new, in number or in share: short ones run faster.
const LONG: usize = 400;
/// Bits of the table of features.
const TABLE_BITS: u32 = 18;

/// A corpus, in memory and in a folder.
#[derive(Debug)]
pub(super) struct Corpus {
    inputs: Vec<Vec<u8>>,
    seen: Vec<bool>,
    features: u64,
    folder: PathBuf,
}

impl Corpus {
    /// Reads what earlier sessions left in the folder, the shortest first, as far as there is room.
    pub(super) fn open(folder: &Path) -> Self {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<(u64, PathBuf)> = files
            .map(|entry| (entry.metadata().map_or(u64::MAX, |metadata| metadata.len()), entry.path()))
            .collect();
        files.sort();
        let inputs = files.iter().take(MOST / 2).filter_map(|(_, path)| fs::read(path).ok()).collect();
        Self { inputs, seen: vec![false; 1 << TABLE_BITS], features: 0, folder: folder.to_owned() }
    }

    /// Notes what an input did, and keeps it if that is new.
    pub(super) fn note(&mut self, features: &[u32], input: &[u8]) {
        let mut new = 0;
        for &feature in features {
            let place = feature.wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS);
            let seen = &mut self.seen[crate::address::index(u64::from(place))];
            new += u64::from(!*seen);
            *seen = true;
        }
        self.features += new;
        let stands_out = new > 8 || 2 * new > features.len() as u64;
        if new != 0 && self.inputs.len() < MOST && (input.len() < LONG || stands_out) {
            self.inputs.push(input.to_vec());
            // Files are worth their time for inputs that stand out, and while there are few.
            if self.inputs.len() < 64 || new > 8 {
                let name = format!("{:016x}", super::finding::hash(input));
                let _ = fs::write(self.folder.join(name), input);
            }
        }
    }

    /// One of the inputs: of any two the shorter one, which runs faster.
    pub(super) fn pick(&self, rng: &mut Rng) -> Option<&[u8]> {
        if self.inputs.is_empty() {
            return None;
        }
        let [one, other] = [(); 2].map(|()| self.inputs[rng.index(self.inputs.len())].as_slice());
        Some(if other.len() < one.len() { other } else { one })
    }

    pub(super) fn len(&self) -> u64 {
        self.inputs.len() as u64
    }

    pub(super) fn features(&self) -> u64 {
        self.features
    }
}
