//! The engine: workers that run inputs, and a supervisor that keeps them going and takes down what they find.
//!
//! A worker is this program again, in a process of its own, since what a fuzzer looks for may well kill it. Before each batch
//! of inputs it writes them to a file: if it dies or hangs, they are in there, and the supervisor finds out which one it was.

mod corpus;
pub mod finding;
pub mod minimize;
mod patience;
pub mod replay;
mod status;
mod supervise;
pub mod worker;

use std::path::PathBuf;
use std::time::Duration;

pub use finding::Finding;
pub use supervise::supervise;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the target.
    pub target: String,
    /// When to end; never if `None`.
    pub time: Option<Duration>,
    /// Workers.
    pub jobs: usize,
    /// Seed of the first worker; the others take the following ones.
    pub seed: u64,
    /// Folder for the corpus and for findings.
    pub dir: PathBuf,
    /// Whether to go on after a finding.
    pub keep_going: bool,
    /// More arguments for workers and replays.
    pub extra: Vec<String>,
}

impl Options {
    /// Folder for findings.
    #[must_use]
    pub fn findings(&self) -> PathBuf {
        self.dir.join(&self.target).join("findings")
    }

    /// Folder for inputs that did something new.
    #[must_use]
    pub fn corpus(&self) -> PathBuf {
        self.dir.join(&self.target).join("corpus")
    }
}

/// What a session has done.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Inputs that were run.
    pub cases: u64,
    /// Hypercalls that they made.
    pub calls: u64,
    /// Different features that were seen, by the worker that saw most.
    pub features: u64,
    /// Inputs that were kept, by the worker that kept most.
    pub corpus: u64,
    /// Seconds that passed.
    pub seconds: f64,
    /// Seconds of processor time that the workers took.
    pub cpu_seconds: f64,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Summary {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self, options: &Options) -> String {
        serde_json::json!({
            "target": options.target,
            "seed": options.seed,
            "jobs": options.jobs,
            "cases": self.cases,
            "calls": self.calls,
            "features": self.features,
            "corpus": self.corpus,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "cases_per_cpu_second": self.cases as f64 / self.cpu_seconds.max(1e-9),
            "findings": self.findings.iter().map(|finding| serde_json::json!({
                "kind": finding.kind,
                "detail": finding.detail,
                "file": finding.file,
                "seconds": finding.seconds,
                "cpu_seconds": finding.cpu_seconds,
            })).collect::<Vec<_>>(),
        })
        .to_string()
    }
}
