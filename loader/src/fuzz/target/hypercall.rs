//! The hypercall boundary as a target.

use std::fmt::Write as _;
use std::io;

use bytecode::World as Outside;
use hvcall::{Nr, RawCall};

use super::Target;
use crate::fuzz::generate::{decode, encode, encode_to};
use crate::fuzz::model::{Violation, name};
use crate::fuzz::plan;
use crate::fuzz::rng::Rng;
use crate::fuzz::world::{Depth, Done, World};
use crate::fuzz::{generate, mutate};
use crate::monitor::dispatch::Flow;

/// The dispatcher and its model.
#[derive(Debug)]
pub struct Hypercall {
    world: World,
    calls: u64,
    unsure: bool,
}

impl Hypercall {
    /// A fresh one.
    ///
    /// # Errors
    /// What the host says.
    pub fn new() -> io::Result<Self> {
        Ok(Self { world: World::new()?, calls: 0, unsure: false })
    }
}

impl Target for Hypercall {
    fn run(&mut self, input: &[u8], depth: Depth) -> Result<(), Violation> {
        let outcome = self.world.execute(input, depth);
        (self.calls, self.unsure) = (outcome.calls, outcome.unsure);
        let Some((violation, _)) = outcome.violation else { return Ok(()) };
        // What has gone wrong may still be there.
        match World::new() {
            Ok(world) => self.world = world,
            Err(error) => return Err(Violation::new("harness", error.to_string())),
        }
        Err(violation)
    }

    fn generate(&mut self, rng: &mut Rng, input: &mut Vec<u8>) {
        encode_to(&generate::program(rng), input);
    }

    fn mutate(&mut self, rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
        let mut ops = decode(input);
        mutate::mutate(rng, &mut ops, other);
        encode_to(&ops, input);
    }

    /// None if the program was not checked to its end: what is made from it would mostly not be, either.
    fn features(&self) -> &[u32] {
        if self.unsure { &[] } else { &self.world.model.features }
    }

    fn calls(&self) -> u64 {
        self.calls
    }

    /// Without one operation, or several.
    fn shrink(&self, input: &[u8], attempt: usize) -> Option<Vec<u8>> {
        let mut ops = decode(input);
        let mut chunk = ops.len().div_ceil(2);
        let mut left = attempt;
        loop {
            let attempts = ops.len().div_ceil(chunk.max(1));
            if left < attempts {
                let from = left * chunk;
                ops.drain(from..(from + chunk).min(ops.len()));
                return Some(encode(&ops));
            }
            left -= attempts;
            if chunk <= 1 {
                return None;
            }
            chunk /= 2;
        }
    }
}

/// Runs a program and tells, step by step, what it does: `say` gets a line before each call, and one with its result.
///
/// # Errors
/// [`Violation`] that the program shows.
///
/// # Panics
/// If the host gives no memory.
pub fn list(input: &[u8], say: &mut dyn FnMut(&str)) -> io::Result<Result<(), Violation>> {
    let mut world = World::new()?;
    let extents = world.extents.clone();
    let place = |address: u64| -> String {
        let near = |(position, extent): (usize, &bytecode::Extent)| {
            let inside = address.wrapping_sub(extent.start);
            (inside <= extent.size_bytes).then(|| {
                let name = plan::name(u8::try_from(position).unwrap_or(0));
                let left = extent.size_bytes - inside;
                if left < inside { format!("{name}.end-{left:#x}") } else { format!("{name}+{inside:#x}") }
            })
        };
        extents.iter().enumerate().find_map(near).unwrap_or_else(|| format!("{address:#x}"))
    };
    let mut number = 0;
    let outcome = world.execute_with(input, Depth::EachStep, &mut |done| match done {
        Done::Before(raw) => {
            number += 1;
            say(&format!("{number:>4}  {}", describe(raw, &place)));
        }
        Done::Call(_, flow) => say(&match flow {
            Flow::Return(result) => format!("      = {}", name(result)),
            end @ (Flow::Exit(_) | Flow::BadExit(_)) => format!("      = {end:?}"),
        }),
        Done::Entry(raw) => say(&format!("      | {}", describe(raw, &place))),
        Done::Outside(outside) => {
            number += 1;
            say(&format!("{number:>4}  outside: {}", happening(outside)));
        }
    });
    Ok(match outcome.violation {
        Some((violation, _)) => Err(violation),
        None => Ok(()),
    })
}

fn describe(raw: &RawCall, place: &dyn Fn(u64) -> String) -> String {
    let [first, second, third, ..] = raw.arguments;
    let nr = Nr::from_raw(raw.nr);
    let mut text = match nr {
        Ok(nr) => nr.name().to_owned(),
        Err(_) => format!("call {:#x}", raw.nr),
    };
    let _ = match nr {
        Ok(Nr::ConsoleWrite | Nr::Entropy | Nr::Multicall) => write!(text, "({}, {second:#x}", place(first)),
        Ok(Nr::NetSend | Nr::NetRecv | Nr::BlockSubmit | Nr::BlockReap) => {
            write!(text, "({first:#x}, {}, {third:#x}", place(second))
        }
        Ok(Nr::Clock | Nr::Exit) => write!(text, "({first:#x}"),
        Ok(Nr::Wait) | Err(_) => write!(text, "({first:#x}, {second:#x}"),
    };
    let used = nr.map_or(2, Nr::arguments);
    if raw.arguments[used..].iter().any(|&slot| slot != 0) {
        let _ = write!(text, "; other registers {:x?}", &raw.arguments[used..]);
    }
    if raw.nr >> 32 != 0 {
        let _ = write!(text, "; RAX {:#x}", raw.nr);
    }
    text.push(')');
    text
}

fn happening(outside: Outside) -> String {
    match outside {
        Outside::Inject { nic, size, .. } => {
            format!("a frame of {} bytes arrives on NIC {}", size.value(), nic % 2)
        }
        Outside::Drain { nic } => format!("what NIC {} sent is taken", nic % 2),
        Outside::Shutdown => "the host asks the guest to end".to_owned(),
        Outside::Truncate { pieces, .. } => {
            format!("the file of disk 0 is cut to {} KiB", u32::from(pieces) * 4)
        }
    }
}
