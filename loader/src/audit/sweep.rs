//! The sweep over every executable byte: decoded in order, and once more from every offset in between.

use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::elf::{EXECUTE, Elf};
use super::hazard::{Classifier, Hazard, looks_at_host};
use super::names::Names;

/// Most places of one sort that are remembered; all are counted.
const MAX_PLACES: usize = 16;

/// Places of one sort: how many, and where the first are.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) count: u64,
    pub(super) first: Vec<(u64, Mnemonic)>,
}

impl Places {
    fn add(&mut self, address: u64, mnemonic: Mnemonic) {
        self.count += 1;
        if self.first.len() < MAX_PLACES {
            self.first.push((address, mnemonic));
        }
    }
}

/// What the executable bytes hold.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    pub(super) bytes: u64,
    pub(super) instructions: u64,
    /// Executable bytes that were not looked at, because segments name the same bytes of the file again.
    pub(super) skipped: u64,
    /// Hazards in order, the trap among them.
    pub(super) hazards: BTreeMap<Hazard, Places>,
    pub(super) undecodable: Places,
    pub(super) host_looks: Places,
    /// Steps of the stack pointer: the largest, and those without a bound.
    pub(super) largest_step: (u64, u64),
    pub(super) unbounded_steps: Places,
    /// Whether an instruction begins at the entry point.
    pub(super) entry_is_start: bool,
    /// Hazards at offsets where no instruction begins.
    pub(super) hidden: BTreeMap<Hazard, u64>,
}

impl Sweep {
    /// Sweeps all executable segments of an x86 program.
    pub(super) fn over(elf: &Elf<'_>, names: &Names<'_>) -> Self {
        let mut sweep = Self::default();
        let classifier = Classifier::new();
        let mut budget = elf.bytes.len();
        for segment in elf.loads().filter(|segment| segment.is(EXECUTE)) {
            let whole = elf.content(segment);
            let content = whole.get(..whole.len().min(budget)).unwrap_or_default();
            budget -= content.len();
            sweep.skipped += (whole.len() - content.len()) as u64;
            let mut region = Region {
                bits: elf.bits,
                address: segment.address,
                content,
                starts: vec![false; content.len()],
            };
            sweep.in_order(&mut region, &classifier, names);
            sweep.in_between(&region, &classifier);
            let entry = elf.entry.checked_sub(segment.address).and_then(|at| usize::try_from(at).ok());
            sweep.entry_is_start |= entry.is_some_and(|at| region.starts.get(at) == Some(&true));
        }
        sweep
    }

    /// From each instruction to the next. Where symbols say that a function begins, an instruction begins.
    fn in_order(&mut self, region: &mut Region<'_>, classifier: &Classifier, names: &Names<'_>) {
        self.bytes += region.content.len() as u64;
        let mut functions = names
            .starts()
            .filter_map(|start| usize::try_from(start.checked_sub(region.address)?).ok())
            .peekable();
        let mut decoder = region.decoder();
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            let at = decoder.position();
            while functions.next_if(|&start| start <= at).is_some() {}
            decoder.decode_out(&mut instruction);
            let address = region.address.wrapping_add(at as u64);
            let next_function = functions.peek().copied().unwrap_or(usize::MAX);
            let overruns = decoder.position() > next_function;
            if instruction.is_invalid() || overruns {
                self.undecodable.add(address, Mnemonic::INVALID);
                // One byte on; whoever executes this one gets a fault.
                let _ = decoder.try_set_position(if overruns { next_function } else { at + 1 });
                continue;
            }
            if let Some(start) = region.starts.get_mut(at) {
                *start = true;
            }
            self.instructions += 1;
            self.judge(&instruction, address, classifier);
        }
    }

    fn judge(&mut self, instruction: &Instruction, address: u64, classifier: &Classifier) {
        let mnemonic = instruction.mnemonic();
        if let Some(hazard) = classifier.hazard(instruction) {
            self.hazards.entry(hazard).or_default().add(address, mnemonic);
        }
        if looks_at_host(instruction.code()) {
            self.host_looks.add(address, mnemonic);
        }
        match stack_step(instruction) {
            Some(Step::By(bytes)) if bytes > self.largest_step.0 => self.largest_step = (bytes, address),
            Some(Step::Unbounded) => self.unbounded_steps.add(address, mnemonic),
            Some(Step::By(_)) | None => {}
        }
    }

    /// From every offset where no instruction begins.
    fn in_between(&mut self, region: &Region<'_>, classifier: &Classifier) {
        let mut decoder = region.decoder();
        let mut instruction = Instruction::default();
        for (at, _) in region.starts.iter().enumerate().filter(|(_, start)| !**start) {
            if decoder.try_set_position(at).is_err() {
                return;
            }
            decoder.decode_out(&mut instruction);
            if let Some(hazard) = classifier.hazard(&instruction) {
                *self.hidden.entry(hazard).or_default() += 1;
            }
        }
    }
}

/// An executable segment's bytes, and at which of them instructions begin.
struct Region<'a> {
    bits: u32,
    address: u64,
    content: &'a [u8],
    starts: Vec<bool>,
}

impl<'a> Region<'a> {
    fn decoder(&self) -> Decoder<'a> {
        // Panics for other numbers than 16, 32 and 64; an ELF file's class gives one of the last two.
        Decoder::with_ip(self.bits, self.content, self.address, DecoderOptions::NONE)
    }
}

/// How far an instruction moves the stack pointer down at once.
enum Step {
    By(u64),
    Unbounded,
}

/// `push` and `call` write where they move to, so they cannot step over a guard.
fn stack_step(instruction: &Instruction) -> Option<Step> {
    if instruction.mnemonic() == Mnemonic::Enter {
        return Some(Step::By(u64::from(instruction.immediate16())));
    }
    if instruction.op0_kind() != OpKind::Register || instruction.op0_register() != Register::RSP {
        return None;
    }
    let mnemonic = instruction.mnemonic();
    if mnemonic == Mnemonic::Lea {
        let displacement = instruction.memory_displacement64().cast_signed();
        let bounded = instruction.memory_index() == Register::None;
        return Some(if bounded { Step::By(displacement.min(0).unsigned_abs()) } else { Step::Unbounded });
    }
    if !matches!(mnemonic, Mnemonic::Sub | Mnemonic::Add) {
        return None;
    }
    let subtracts = mnemonic == Mnemonic::Sub;
    let immediate = instruction.try_immediate(1).map(u64::cast_signed);
    Some(immediate.map_or(Step::Unbounded, |value| {
        let down = if subtracts { value.max(0) } else { value.min(0) };
        Step::By(down.unsigned_abs())
    }))
}
