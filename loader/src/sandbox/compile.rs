//! From rules to a program of classic BPF that is short.
//!
//! The kernel translates a filter anew at every start, at more than a microsecond for each instruction, and runs it at every system
//! call. So what all ways of making a call have in common is looked at once, and a word is not loaded again where it is loaded.
//! What a program allows is read back from it by [`super::listing`], which knows nothing of this module.

use std::collections::BTreeMap;

use seccompiler::{BackendError, BpfProgram, sock_filter};

/// `AUDIT_ARCH_X86_64` (include/uapi/linux/audit.h).
const X86_64: u32 = 0xc000_003e;
/// Words of `struct seccomp_data` (include/uapi/linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 1;
const ADDRESS: u32 = 2;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// A jump whose length is set when it is known. No jump that is known at once is that long.
const FAIL: u8 = u8::MAX;

/// A comparison of one of the words of a call, or of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// It is the value.
    Equal { word: u32, value: u32 },
    /// It is at most that.
    AtMost { word: u32, most: u32 },
    /// It has none of the bits.
    Without { word: u32, bits: u32 },
    /// It and the next, as the lower and the upper half of a number, are at most that.
    PairAtMost { word: u32, lower: u32, upper: u32 },
}

/// Allows what `rules` have a way for, all of whose tests hold, and kills for everything else.
///
/// # Errors
/// `FilterTooLarge` if a jump would be longer than jumps can be.
pub(super) fn compile(rules: &BTreeMap<i64, Vec<Vec<Test>>>) -> Result<BpfProgram, BackendError> {
    let kill = statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = Vec::new();
    if !allows_hot_calls_always(rules) {
        program.push(statement(LOAD, ADDRESS * 4));
    }
    program.extend([
        statement(LOAD, ARCHITECTURE * 4),
        jump(EQUAL, X86_64, 1, 0),
        kill.clone(),
        statement(LOAD, NUMBER * 4),
    ]);
    for (number, ways) in rules {
        let part = part(ways)?;
        let past = u8::try_from(part.len()).map_err(|_| BackendError::FilterTooLarge(part.len()))?;
        // Numbers are never as long.
        program.push(jump(EQUAL, u32::try_from(*number).unwrap_or(u32::MAX), 0, past));
        program.extend(part);
    }
    program.push(kill);
    Ok(program)
}

/// Whether it is worth the kernel's while to find the calls that are allowed whatever their arguments: those then pass without the filter
/// (kernel/seccomp.c, `seccomp_cache_prepare`).
///
/// It runs a filter for each number that there is, up to the first look at anything but number and architecture, which takes longer than all
/// the rest of installing one. If that look comes first, it is over at once.
fn allows_hot_calls_always(rules: &BTreeMap<i64, Vec<Vec<Test>>>) -> bool {
    rules.iter().any(|(&number, ways)| number != libc::SYS_exit_group && ways.iter().any(Vec::is_empty))
}

/// The part for one call, which ends with a verdict whatever happens.
fn part(ways: &[Vec<Test>]) -> Result<BpfProgram, BackendError> {
    let mut part = Part::default();
    let is_common = |test: &Test| ways.iter().all(|way| way.contains(test));
    let common = ways.first().into_iter().flatten().filter(|test| is_common(test));
    common.for_each(|test| part.test(*test));
    let common_end = part.program.len();
    for way in ways {
        let start = part.program.len();
        way.iter().filter(|test| !is_common(test)).for_each(|test| part.test(*test));
        part.program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
        let end = part.program.len();
        // Whoever fails here comes from any of these steps: the accumulator is certain only if none but the first can have set it.
        let sets = |step: &sock_filter| matches!(u32::from(step.code), LOAD | AND);
        if part.program[start..end].iter().skip(1).any(sets) {
            part.loaded = None;
        }
        fail_to(&mut part.program, start..end, end)?;
    }
    let end = part.program.len();
    fail_to(&mut part.program, 0..common_end, end)?;
    part.program.push(statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS));
    Ok(part.program)
}

/// Sets the length of the jumps among these steps that were waiting for it.
fn fail_to(
    program: &mut [sock_filter],
    steps: std::ops::Range<usize>,
    target: usize,
) -> Result<(), BackendError> {
    for at in steps {
        let length = u8::try_from(target - at - 1).ok().filter(|length| *length != FAIL);
        for way in [true, false] {
            let step = &mut program[at];
            let jump = if way { &mut step.jt } else { &mut step.jf };
            if *jump == FAIL {
                *jump = length.ok_or(BackendError::FilterTooLarge(target))?;
            }
        }
    }
    Ok(())
}

/// A part while it is being written.
#[derive(Default)]
struct Part {
    program: BpfProgram,
    /// The word in the accumulator, if that is certain.
    loaded: Option<u32>,
}

impl Part {
    fn load(&mut self, word: u32) {
        if self.loaded.replace(word) != Some(word) {
            self.program.push(statement(LOAD, word * 4));
        }
    }

    /// Goes on if it holds.
    fn test(&mut self, test: Test) {
        match test {
            Test::Equal { word, value } => {
                self.load(word);
                self.program.push(jump(EQUAL, value, 0, FAIL));
            }
            Test::AtMost { word, most } => {
                self.load(word);
                self.program.push(jump(GREATER, most, FAIL, 0));
            }
            Test::Without { word, bits } => {
                self.load(word);
                self.program.extend([statement(AND, bits), jump(EQUAL, 0, 0, FAIL)]);
                self.loaded = None;
            }
            Test::PairAtMost { word, lower, upper } => {
                self.load(word + 1);
                // A smaller upper half decides; with the same one, the lower half does.
                self.program.extend([jump(GREATER, upper, FAIL, 0), jump(EQUAL, upper, 0, 2)]);
                self.program.extend([statement(LOAD, word * 4), jump(GREATER, lower, FAIL, 0)]);
                self.loaded = None;
            }
        }
    }
}

fn jump(code: u32, k: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { jt: then, jf: otherwise, ..statement(code, k) }
}

fn statement(code: u32, k: u32) -> sock_filter {
    // The codes are all below 2^8 (bpf_common.h).
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}
