//! What a filter allows, read from its program.
//!
//! A classic BPF program is followed along every path that some system call can take, with what the path says about each word of
//! the call: an interval, and bits that are known. A path that ends with "allow" is one way in which a call is allowed.

use std::fmt;

use seccompiler::sock_filter;

mod names;

pub use names::name;

/// `AUDIT_ARCH_X86_64` (include/uapi/linux/audit.h).
const X86_64: u32 = 0xc000_003e;
/// Words of `struct seccomp_data` (include/uapi/linux/seccomp.h): number, architecture, address, six arguments.
const WORDS: usize = 16;
const NUMBER: usize = 0;
const ARCHITECTURE: usize = 1;
const FIRST_ARGUMENT: usize = 4;
/// Paths that are followed at most: far more than any filter here has.
const MAX_PATHS: usize = 100_000;

/// What must be true of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Nothing.
    Any,
    /// It has this value; of an argument of 32 bits, those.
    Equal(u64),
    /// It is at most this.
    AtMost(u64),
    /// Of these bits, exactly those of the value are set.
    Bits {
        /// Which bits.
        mask: u32,
        /// Their values.
        value: u32,
    },
}

/// One way in which one call is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The call's number.
    pub number: u32,
    /// What its arguments must be.
    pub arguments: [Pin; 6],
}

/// A program that is not understood, or that allows what no filter should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// An instruction, or its place, is none of those that filters here are made of.
    #[error("instruction {0} of the filter is not understood")]
    Instruction(usize),
    /// Too many paths.
    #[error("the filter is too long to be read")]
    TooLong,
    /// Something else than calls with a known number is allowed.
    #[error("the filter allows calls of any number, or of another architecture")]
    Unbounded,
}

/// What a path says about a word.
#[derive(Clone, Copy, Debug)]
struct Word {
    least: u32,
    most: u32,
    mask: u32,
    bits: u32,
}

impl Word {
    const ANY: Self = Self { least: 0, most: u32::MAX, mask: 0, bits: 0 };

    const fn is(self, value: u32) -> bool {
        self.least == value && self.most == value
    }

    /// What is left of it if it is from `least` to `most`, and whether anything is.
    fn within(self, least: u32, most: u32) -> Option<Self> {
        let (least, most) = (self.least.max(least), self.most.min(most));
        let single_fits = least != most || least & self.mask == self.bits;
        (least <= most && single_fits).then_some(Self { least, most, ..self })
    }

    fn with_bits(self, mask: u32, bits: u32) -> Option<Self> {
        let agrees = (self.bits ^ bits) & self.mask & mask == 0;
        let single_fits = self.least != self.most || self.least & mask == bits;
        (agrees && single_fits).then_some(Self { mask: self.mask | mask, bits: self.bits | bits, ..self })
    }
}

/// A path so far: where it goes on, what is in the accumulator, and what is known.
#[derive(Clone)]
struct Path {
    at: usize,
    /// The word that was loaded, and the mask that was laid over it.
    loaded: (usize, u32),
    words: [Word; WORDS],
}

/// Everything that a filter allows.
///
/// # Errors
/// [`ListingError`]: then nothing can be said about the filter.
pub fn ways(program: &[sock_filter]) -> Result<Vec<Way>, ListingError> {
    let mut open = vec![Path { at: 0, loaded: (NUMBER, 0), words: [Word::ANY; WORDS] }];
    let mut found = Vec::new();
    let mut steps = 0;
    while let Some(mut path) = open.pop() {
        steps += 1;
        if steps > MAX_PATHS {
            return Err(ListingError::TooLong);
        }
        let instruction = program.get(path.at).ok_or(ListingError::Instruction(path.at))?;
        let not_understood = ListingError::Instruction(path.at);
        let k = instruction.k;
        path.at += 1;
        match u32::from(instruction.code) {
            LOAD => {
                let word = usize::try_from(k / 4).ok().filter(|word| *word < WORDS && k % 4 == 0);
                path.loaded = (word.ok_or(not_understood)?, u32::MAX);
                open.push(path);
            }
            AND => {
                path.loaded.1 &= k;
                open.push(path);
            }
            JUMP => {
                path.at += usize::try_from(k).map_err(|_| not_understood)?;
                open.push(path);
            }
            EQUAL | GREATER | AT_LEAST => open.extend(branch(&path, instruction).ok_or(not_understood)?),
            RETURN if k == libc::SECCOMP_RET_ALLOW => found.push(way(&path.words)?),
            RETURN => {}
            _ => return Err(not_understood),
        }
    }
    found.reverse();
    Ok(found)
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Where a path goes after a comparison: both ways, unless what is known rules one out.
fn branch(path: &Path, instruction: &sock_filter) -> Option<Vec<Path>> {
    let (at, mask) = path.loaded;
    let (word, k) = (path.words[at], instruction.k);
    let (holds, fails): (Option<Word>, Vec<Word>) = match u32::from(instruction.code) {
        EQUAL if mask == u32::MAX => {
            // What is not the value is below it or above it: one of the two intervals is dropped if the value was at an end, and
            // otherwise the word stays as it was, which allows a path too many and never one too few.
            let below = k.checked_sub(1).and_then(|below| word.within(0, below));
            let above = k.checked_add(1).and_then(|above| word.within(above, u32::MAX));
            let other = match (below, above) {
                (Some(_), Some(_)) => Some(word),
                (one, None) | (None, one) => one,
            };
            (word.within(k, k), other.into_iter().collect())
        }
        EQUAL if k & !mask == 0 => (word.with_bits(mask, k), vec![word]),
        GREATER if mask == u32::MAX => (
            k.checked_add(1).and_then(|least| word.within(least, u32::MAX)),
            word.within(0, k).into_iter().collect(),
        ),
        AT_LEAST if mask == u32::MAX => (
            word.within(k, u32::MAX),
            k.checked_sub(1).and_then(|most| word.within(0, most)).into_iter().collect(),
        ),
        _ => return None,
    };
    let to = |word: Word, skip: u8| {
        let mut next = path.clone();
        next.words[at] = word;
        next.at += usize::from(skip);
        next
    };
    let holds = holds.map(|word| to(word, instruction.jt));
    Some(fails.into_iter().map(|word| to(word, instruction.jf)).chain(holds).collect())
}

fn way(words: &[Word; WORDS]) -> Result<Way, ListingError> {
    let number = words[NUMBER].least;
    if !words[NUMBER].is(number) || !words[ARCHITECTURE].is(X86_64) {
        return Err(ListingError::Unbounded);
    }
    let mut arguments = [Pin::Any; 6];
    for (index, pin) in arguments.iter_mut().enumerate() {
        let (low, high) = (words[FIRST_ARGUMENT + 2 * index], words[FIRST_ARGUMENT + 2 * index + 1]);
        let upper = u64::from(high.least) << 32;
        *pin = if low.least == low.most {
            Pin::Equal(upper | u64::from(low.least))
        } else if low.mask != 0 {
            Pin::Bits { mask: low.mask, value: low.bits }
        } else if high.most != u32::MAX || low.most != u32::MAX {
            Pin::AtMost(u64::from(high.most) << 32 | u64::from(low.most))
        } else {
            Pin::Any
        };
    }
    Ok(Way { number, arguments })
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any"),
            Self::Equal(value) if *value < 4096 => write!(formatter, "{value}"),
            Self::Equal(value) => write!(formatter, "{value:#x}"),
            Self::AtMost(value) => write!(formatter, "at most {value}"),
            Self::Bits { mask, value: 0 } => write!(formatter, "without bits {mask:#x}"),
            Self::Bits { mask, value } => write!(formatter, "of bits {mask:#x} exactly {value:#x}"),
        }
    }
}

#[cfg(test)]
mod tests;
