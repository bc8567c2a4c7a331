//! The contract, told a second time: what must succeed, what must fail and how, what may change.
//!
//! Written from the documentation of `hvcall` and independently of the dispatcher: it shares no code with it but names of
//! numbers. It holds its own copy of the guest's memory, the disks and the frames under way, carries out each call on these,
//! and says which results are right. Where the contract leaves a choice (two errors at once, a queue that may be full), the
//! set of right results has more than one member, and the model follows the one that was observed.

mod block;
mod call;
mod memory;
mod net;
mod observe;

use std::fmt;

use hvcall::Status;

pub use block::DiskModel;
pub use call::{Real, name};
pub use memory::{GRANULE_BYTES, MemoryModel, RegionModel};
pub use net::NicModel;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which kind, for telling findings apart.
    pub kind: &'static str,
    /// What was expected, and what happened.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind, self.detail)
    }
}

impl Violation {
    pub(super) fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

/// A set of statuses: every reason why a call has to be refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals(u16);

impl Refusals {
    fn add(&mut self, status: Status) {
        self.0 |= 1 << (-status.to_result()).min(15);
    }

    fn add_if(&mut self, holds: bool, status: Status) {
        if holds {
            self.add(status);
        }
    }

    /// Whether there is no reason to refuse.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether RAX holds one of the statuses.
    #[must_use]
    pub fn allows(self, result: i64) -> bool {
        (-15..0).contains(&result) && self.0 & 1 << -result != 0
    }

    /// The lowest of the statuses, as RAX carries it.
    fn any(self) -> i64 {
        -i64::from(self.0.trailing_zeros())
    }
}

/// The model of one guest.
#[derive(Debug)]
pub struct Model {
    /// The guest's memory.
    pub memory: MemoryModel,
    /// NICs.
    pub nics: Vec<NicModel>,
    /// Disks.
    pub disks: Vec<DiskModel>,
    /// What the console has been given.
    pub console: Vec<u8>,
    /// Whether the host has asked the guest to end.
    pub shutdown: bool,
    /// Latest monotonic time that was seen, in ns.
    pub latest_ns: u64,
    /// What the calls so far were, mixed: equal for programs that behave alike.
    pub features: Vec<u32>,
    /// The order of things in one call was such that its results cannot be told: what follows is not checked.
    pub unsure: bool,
    observed: Vec<observe::Observation>,
    /// Ranges that the last call left as nobody could foresee: first address and length.
    pub adopted: Vec<(u64, u64)>,
    /// Whether random bytes or a time of the last call were used within it: then no other machine does the same.
    pub mixed: bool,
    problem: Option<Violation>,
}

impl Model {
    /// A guest with this memory and these devices, before its first call.
    #[must_use]
    pub fn new(memory: MemoryModel, nics: Vec<NicModel>, disks: Vec<DiskModel>) -> Self {
        Self {
            memory,
            nics,
            disks,
            console: Vec::new(),
            shutdown: false,
            latest_ns: 0,
            features: Vec::new(),
            unsure: false,
            observed: Vec::new(),
            adopted: Vec::new(),
            mixed: false,
            problem: None,
        }
    }

    fn problem(&mut self, kind: &'static str, detail: impl FnOnce() -> String) {
        if self.problem.is_none() {
            self.problem = Some(Violation::new(kind, detail()));
        }
    }
}
