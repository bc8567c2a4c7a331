//! Choices that the contract leaves open, followed as they were observed.
//!
//! Memory is read after the whole call. In a batch a later call may have written over what an earlier one left there: then the
//! earlier one's choice is not known, which matters if something was made of it.

use super::Model;
use super::call::{Observed, Real};

/// A range that was taken over from what was observed, in the call that is being checked.
#[derive(Debug)]
pub(super) struct Observation {
    from: u64,
    to: u64,
    /// Whether it is the result of a call in a batch, where that call leaves it.
    is_result: bool,
    /// Whether something was made of it.
    used: bool,
    /// What has to hold for it, if it is still there at the end.
    check: Check,
}

/// What has to hold for an observed value.
#[derive(Debug)]
pub(super) enum Check {
    /// Anything goes that the set of right results has.
    Nothing,
    /// Anything goes.
    Random,
    /// A time between these, in ns.
    Time(u64, u64),
    /// The first and the last eight bytes differ from these.
    Fresh([u8; 8], [u8; 8]),
}

impl Model {
    /// The result that a call gave, where the contract leaves it open. `used` says that effects follow from it.
    pub(super) fn observe(&mut self, observed: Observed<'_>, used: bool, check: Check) -> i64 {
        let Some(result) = observed.result else {
            let mut bytes = [0; 8];
            observed.memory.read(observed.at, &mut bytes);
            self.note_observation(observed.at, 8, used, check);
            if let Some(own) = self.observed.last_mut() {
                own.is_result = true;
            }
            return i64::from_le_bytes(bytes);
        };
        if let Check::Time(earliest, latest) = check
            && !(earliest..=latest).contains(&result.cast_unsigned())
        {
            self.problem("clock", || format!("{result} ns, expected {earliest} to {latest}"));
        }
        result
    }

    pub(super) fn note_observation(&mut self, from: u64, size_bytes: u64, used: bool, check: Check) {
        let to = from.wrapping_add(size_bytes);
        self.observed.push(Observation { from, to, is_result: false, used, check });
    }

    /// Whether part of a range was taken over in this call: then what was there before is not known.
    pub(super) fn is_observed(&self, from: u64, size_bytes: u64) -> bool {
        let end = from.saturating_add(size_bytes);
        self.observed.iter().any(|other| from < other.to && other.from < end)
    }

    /// Notes that a call of the batch has read memory.
    pub(super) fn note_read(&mut self, address: u64, size_bytes: u64) {
        let end = address.saturating_add(size_bytes);
        for observation in &mut self.observed {
            observation.used |= address < observation.to && observation.from < end;
        }
    }

    /// Notes that a call of the batch has read, from an array, where to write. If part of the array was taken over in this call, what
    /// the call wrote may have hidden what was there when it was read.
    pub(super) fn note_targets_read(&mut self, address: u64, size_bytes: u64) {
        self.unsure |= self.is_observed(address, size_bytes);
        self.note_read(address, size_bytes);
    }

    /// Writes memory as the monitor has to, in a range that was found writable.
    pub(super) fn store(&mut self, address: u64, bytes: &[u8]) {
        let end = address.wrapping_add(bytes.len() as u64);
        let mut unsure = false;
        self.observed.retain_mut(|observation| {
            let overlaps = address < observation.to && observation.from < end;
            let covers = address <= observation.from && observation.to <= end;
            let random = matches!(observation.check, Check::Random | Check::Fresh(..));
            unsure |= overlaps && (observation.used || !covers && !random);
            if overlaps && random {
                observation.check = Check::Random;
            }
            !overlaps || random
        });
        self.unsure |= unsure;
        self.memory.write(address, bytes);
    }

    /// Writes the result of a batch's call to where it was observed, if it was.
    ///
    /// That the last observation lies there is not enough: it may be of bytes that an earlier call, or this one, put there.
    pub(super) fn store_result(&mut self, at: u64, result: i64) {
        let own = self.observed.pop_if(|last| last.is_result && last.from == at);
        self.store(at, &result.to_le_bytes());
        self.observed.extend(own);
    }

    /// Checks what was observed and is still there.
    pub(super) fn check_observations(&mut self, memory: &dyn Real) {
        for observation in std::mem::take(&mut self.observed) {
            let mut bytes = [0; 8];
            self.mixed |= observation.used && !matches!(observation.check, Check::Nothing);
            self.adopted.push((observation.from, observation.to - observation.from));
            match observation.check {
                Check::Nothing | Check::Random => {}
                Check::Time(earliest, latest) => {
                    memory.read(observation.from, &mut bytes);
                    let ns = u64::from_le_bytes(bytes);
                    if !(earliest..=latest).contains(&ns) {
                        self.problem("clock", || format!("{ns} ns, expected {earliest} to {latest}"));
                    }
                }
                Check::Fresh(first, last) => {
                    memory.read(observation.from, &mut bytes);
                    let first_stays = bytes == first;
                    memory.read(observation.to - 8, &mut bytes);
                    if first_stays || bytes == last {
                        let at = observation.from;
                        self.problem("stale", || format!("entropy left bytes at {at:#x} as they were"));
                    }
                }
            }
        }
    }
}
