//! Fuzzing from inside a real machine.
//!
//! `apps/fuzzer` runs in a virtual machine, or a process, and asks for programs. This end hands them out and goes along, call by call:
//! the same interpreter says which call must come next; the machine's dispatcher and one on made-up memory both carry it out; the
//! results must be equal, and each is checked by a model of its own. After a chunk of programs the guest's memory, its disks, frames
//! and console must be what the model says, so what the guest did by itself is checked, too. At last the guest ends in one of many
//! ways, and the end must be reported as what it was.

mod boot;
mod lockstep;

use std::time::Instant;

use bytecode::chunk::End;

use super::generate;
use super::model::Violation;
use super::rng::Rng;
use crate::backend::choice::Backend;
use crate::backend::kvm::GateChoice;
use crate::image::Image;
use crate::machine::MachineError;

/// What a session in machines has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Machines.
    pub boots: u64,
    /// Programs.
    pub programs: u64,
    /// Traps of the guest.
    pub traps: u64,
    /// Hypercalls, those in batches included.
    pub calls: u64,
    /// Chunks that were left because a program's effects could not be told.
    pub unsure: u64,
    /// Guests that were made to spoil their own memory.
    pub spoiled: u64,
}

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The machine could not be made.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The host does not give what the harness needs.
    #[error(transparent)]
    Host(#[from] std::io::Error),
    /// The machine could not run.
    #[error("the machine stopped: {0}")]
    Stopped(String),
    /// Something is wrong: the programs of the chunk, and what.
    #[error("{0}")]
    Violation(Violation, Vec<Vec<u8>>),
}

/// What programs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Scenes of all kinds.
    Scenes,
    /// Full batches of cheap calls, to see how fast calls can come.
    Bursts,
    /// Cheap calls one by one, to see how fast traps can come.
    Singles,
}

/// How to fuzz in machines.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Where.
    pub backend: Backend,
    /// How the guest traps.
    pub gate: GateChoice,
    /// What of.
    pub mix: Mix,
    /// After how many programs to end.
    pub most_programs: Option<u64>,
    /// When to end.
    pub until: Option<Instant>,
    /// Where random numbers begin.
    pub seed: u64,
}

/// Chunks of a machine before it ends.
const CHUNKS: u64 = 200;
/// Programs of a chunk.
const PROGRAMS: u64 = 48;
/// Bytes of a chunk's programs.
const CHUNK_BYTES: usize = 60 * 1024;

/// Fuzzes until the time is up or something is found. `tell` hears how it goes.
///
/// # Errors
/// [`VmError`].
pub fn fuzz(image: &Image, session: &Session, tell: &mut dyn FnMut(&Tally)) -> Result<Tally, VmError> {
    let mut rng = Rng::new(session.seed);
    let mut tally = Tally::default();
    let over = |tally: &Tally| {
        session.until.is_some_and(|until| Instant::now() >= until)
            || session.most_programs.is_some_and(|most| tally.programs >= most)
    };
    while !over(&tally) {
        let ends = &End::ALL[1..];
        let end = rng.pick(ends);
        let mut left = if session.mix == Mix::Scenes { 1 + rng.below(CHUNKS) } else { CHUNKS };
        let mut chunks = |tally: &Tally| {
            tell(tally);
            left = left.saturating_sub(1);
            let end = if left == 0 || over(tally) { end } else { End::Next };
            (end, chunk(&mut rng, session.mix))
        };
        boot::run(image, session, &mut tally, &mut chunks)?;
        tally.boots += 1;
    }
    Ok(tally)
}

/// Runs the programs of a finding in a machine.
///
/// # Errors
/// [`VmError`].
pub fn replay(image: &Image, session: &Session, programs: &[Vec<u8>]) -> Result<Tally, VmError> {
    let mut tally = Tally::default();
    let mut given = false;
    let mut chunks = |_: &Tally| {
        let programs = if std::mem::replace(&mut given, true) { Vec::new() } else { programs.to_vec() };
        (if programs.is_empty() { End::Exit } else { End::Next }, programs)
    };
    boot::run(image, session, &mut tally, &mut chunks)?;
    Ok(tally)
}

fn chunk(rng: &mut Rng, mix: Mix) -> Vec<Vec<u8>> {
    let mut programs = Vec::new();
    let mut bytes = 0;
    for _ in 0..PROGRAMS {
        let ops = match mix {
            Mix::Scenes => generate::program(rng),
            Mix::Bursts => generate::burst(rng),
            Mix::Singles => generate::singles(rng),
        };
        let program = generate::encode(&ops);
        bytes += program.len() + 2;
        if bytes > CHUNK_BYTES {
            break;
        }
        programs.push(program);
    }
    programs
}
