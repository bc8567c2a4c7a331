//! A worker: makes inputs, runs them, keeps what is new, and says how it goes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::corpus::Corpus;
use super::{Options, finding, minimize};
use crate::fuzz::model::Violation;
use crate::fuzz::rng::Rng;
use crate::fuzz::target::{self, Target};
use crate::fuzz::world::Depth;

/// Inputs of a batch. After the last one everything is compared.
pub const BATCH: usize = 512;
/// How often a worker says how it goes.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Findings after which a worker that goes on has seen enough.
const MOST_FINDINGS: usize = 16;

/// Processor time of this process, in seconds.
#[must_use]
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)).as_secs_f64()
}

struct Worker<'a> {
    options: &'a Options,
    target: Box<dyn Target>,
    corpus: Corpus,
    rng: Rng,
    inputs: Vec<Vec<u8>>,
    current: File,
    cases: u64,
    calls: u64,
    kinds: Vec<String>,
}

/// Fuzzes until the time is up or the supervisor ends it. Reports on standard output: `stat` lines, and `found` lines.
///
/// # Errors
/// What the host says.
pub fn work(options: &Options, current: &Path) -> io::Result<()> {
    let start = Instant::now();
    fs::create_dir_all(options.corpus())?;
    let mut worker = Worker {
        options,
        target: target::open(&options.target)?,
        corpus: Corpus::open(&options.corpus()),
        rng: Rng::new(options.seed),
        inputs: vec![Vec::new(); BATCH],
        current: File::create(current)?,
        cases: 0,
        calls: 0,
        kinds: Vec::new(),
    };
    let mut reported = start;
    loop {
        worker.make_batch();
        // One write per batch: what was longer before stays behind the end of what counts.
        let batch = finding::join(worker.inputs.iter().map(Vec::as_slice));
        worker.current.write_all_at(&batch, 8)?;
        worker.current.write_all_at(&(batch.len() as u64).to_le_bytes(), 0)?;
        let done = worker.run_batch()?;
        let over = options.time.is_some_and(|time| start.elapsed() >= time);
        if reported.elapsed() >= REPORT_EVERY || over || done {
            reported = Instant::now();
            worker.report()?;
        }
        if over || done {
            return Ok(());
        }
    }
}

impl Worker<'_> {
    fn make_batch(&mut self) {
        for position in 0..BATCH {
            let mut input = std::mem::take(&mut self.inputs[position]);
            input.clear();
            let old = if self.rng.once_in(3) { self.corpus.pick(&mut self.rng) } else { None };
            match old {
                Some(old) => {
                    input.extend_from_slice(old);
                    let other = self.corpus.pick(&mut self.rng).unwrap_or(&[]);
                    self.target.mutate(&mut self.rng, &mut input, other);
                }
                None => self.target.generate(&mut self.rng, &mut input),
            }
            self.inputs[position] = input;
        }
    }

    /// Says whether that is enough.
    fn run_batch(&mut self) -> io::Result<bool> {
        for position in 0..BATCH {
            let depth = if position + 1 == BATCH { Depth::Everything } else { Depth::Changed };
            let result = self.target.run(&self.inputs[position], depth);
            self.cases += 1;
            self.calls += self.target.calls();
            match result {
                Ok(()) => self.corpus.note(self.target.features(), &self.inputs[position]),
                Err(violation) => {
                    self.found(position, &violation)?;
                    if !self.options.keep_going || self.kinds.len() >= MOST_FINDINGS {
                        return Ok(true);
                    }
                    break;
                }
            }
        }
        Ok(false)
    }

    /// Takes down a violation: by the smallest input that shows it, or by all of the batch so far if none does alone.
    fn found(&mut self, position: usize, violation: &Violation) -> io::Result<()> {
        let (cpu, kind) = (cpu_seconds(), violation.kind.to_owned());
        if self.kinds.contains(&kind) {
            return Ok(());
        }
        self.kinds.push(kind.clone());
        let folder = self.options.findings();
        let alone = (0..=position).rev().find_map(|position| {
            let input = self.inputs[position].clone();
            self.target.run(&input, Depth::EachStep).err().map(|violation| (input, violation))
        });
        let (input, violation) = match alone {
            Some(found) => found,
            None => {
                let inputs = self.inputs[..=position].iter().map(Vec::as_slice);
                (finding::join(inputs), violation.clone())
            }
        };
        let file = finding::save(&folder, &kind, &input)?;
        self.say(&format!("found {cpu:.3} {kind} {} {}", file.display(), violation.detail))?;
        let target = &mut self.target;
        let same = |candidate: &[u8]| {
            target.run(candidate, Depth::EachStep).is_err_and(|other| other.kind == violation.kind)
        };
        let small = minimize::minimize(&self.options.target, input, same)?;
        fs::write(&file, small)
    }

    fn report(&self) -> io::Result<()> {
        let Self { cases, calls, .. } = self;
        let (corpus, features) = (self.corpus.len(), self.corpus.features());
        self.say(&format!("stat {cases} {calls} {corpus} {features} {:.3}", cpu_seconds()))
    }

    fn say(&self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line.replace('\n', " "))?;
        out.flush()
    }
}
