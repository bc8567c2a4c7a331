//! One call: what its result may be, and what it changes.

use hvcall::{RawCall, Status};

use super::net::refusals_of_row;
use super::observe::Check;
use super::{Model, Refusals, Violation};
use crate::address::index;
use crate::monitor::dispatch::Flow;

const ENTRY_BYTES: u64 = 64;
const RESULT_OFFSET: u64 = 56;
/// Difference of two clocks that is no fault of the monitor's, in ns.
const WALL_TOLERANCE_NS: u64 = 10_000_000_000;

/// What came out of a call, for where the contract leaves a choice.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    /// RAX, or nothing if the result lies in memory.
    pub(super) result: Option<i64>,
    /// Where the result lies in memory.
    pub(super) at: u64,
    /// Real memory after the call.
    pub(super) memory: &'a dyn Real,
}

/// Real memory, and the time.
pub trait Real {
    /// Reads guest memory that is the guest's own.
    fn read(&self, address: u64, bytes: &mut [u8]);
    /// Monotonic ns now.
    fn monotonic_ns(&self) -> u64;
    /// Wall-clock ns now.
    fn wall_ns(&self) -> u64;
}

/// Arguments of a call on a row of descriptors.
pub(super) struct Row {
    pub(super) device: usize,
    pub(super) address: u64,
    /// At most 64: what is above is among the refusals.
    pub(super) count: u64,
    pub(super) refusals: Refusals,
}

impl Model {
    /// Follows a call that the monitor has carried out.
    ///
    /// # Errors
    /// [`Violation`] if the monitor did what the contract does not allow, as far as it shows in registers. Memory is compared later.
    pub fn follow(&mut self, raw: &RawCall, flow: Flow, memory: &dyn Real) -> Result<(), Violation> {
        self.observed.clear();
        self.adopted.clear();
        self.mixed = false;
        self.problem = None;
        let nr = raw.nr & 0xffff_ffff;
        let result = match (nr, flow) {
            (0, flow) => return check_exit(raw, flow),
            (_, Flow::Return(result)) => result,
            (_, flow) => return Err(Violation::new("end", format!("call {nr} ended the guest: {flow:?}"))),
        };
        let observed = Observed { result: Some(result), at: 0, memory };
        let expected =
            if nr == 9 { self.multicall(raw, memory, observed) } else { self.single(raw, observed) };
        if self.unsure {
            return Ok(());
        }
        self.check_observations(memory);
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        if result == expected {
            return Ok(());
        }
        Err(Violation::new(
            "result",
            format!("call {nr} returned {}, expected {}", name(result), name(expected)),
        ))
    }

    /// The result of any call but `exit` and `multicall`, its effects carried out on the model.
    fn single(&mut self, raw: &RawCall, observed: Observed<'_>) -> i64 {
        let result = self.dispatch(raw, observed);
        self.note(raw, result, observed.result.is_none());
        result
    }

    fn dispatch(&mut self, raw: &RawCall, observed: Observed<'_>) -> i64 {
        let used = match raw.nr & 0xffff_ffff {
            7 => 1,
            1 | 2 | 8 => 2,
            3..=6 => 3,
            _ => return Status::NOSYS.to_result(),
        };
        let mut refusals = Refusals::default();
        refusals.add_if(raw.arguments[used..].iter().any(|&slot| slot != 0), Status::INVAL);
        let [first, second, third, ..] = raw.arguments;
        let row = |mut refusals: Refusals| {
            refusals_of_row(&mut refusals, second, third);
            Row {
                device: usize::try_from(first).unwrap_or(usize::MAX),
                address: second,
                count: third.min(64),
                refusals,
            }
        };
        match raw.nr & 0xffff_ffff {
            1 => self.console_write(first, second, refusals, observed),
            2 => self.wait(second, refusals, observed),
            3 => self.net_send(&row(refusals), observed),
            4 => self.net_receive(&row(refusals), observed),
            5 => self.block_submit(&row(refusals), observed),
            6 => self.block_reap(&row(refusals), observed),
            7 => self.clock(first, refusals, observed),
            _ => self.entropy(first, second, refusals, observed),
        }
    }

    /// A call that must be refused: with any of the statuses that apply.
    pub(super) fn refused(&mut self, refusals: Refusals, observed: Observed<'_>) -> i64 {
        let any = refusals.any();
        if refusals.0.count_ones() == 1 {
            return any;
        }
        let result = self.observe(observed, false, Check::Nothing);
        if refusals.allows(result) { result } else { any }
    }

    fn console_write(
        &mut self,
        address: u64,
        len: u64,
        mut refusals: Refusals,
        observed: Observed<'_>,
    ) -> i64 {
        refusals.add_if(!(1..=65_536).contains(&len), Status::INVAL);
        refusals.add_if(!self.memory.allows(address, len, false), Status::FAULT);
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        self.note_read(address, len);
        self.console.extend_from_slice(self.memory.bytes(address, len));
        len.cast_signed()
    }

    fn wait(&mut self, interest: u64, mut refusals: Refusals, observed: Observed<'_>) -> i64 {
        let nic_bits = (1_u64 << (2 * self.nics.len())) - 1;
        let disk_bits = (1_u64 << self.disks.len()) - 1;
        refusals.add_if(interest & !(1 | nic_bits << 1 | disk_bits << 32) != 0, Status::INVAL);
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        let mut ready = 0;
        let mut open = 0;
        for (position, nic) in self.nics.iter().enumerate() {
            ready |= u64::from(!nic.inbound.is_empty()) << (1 + 2 * position);
            ready |= u64::from(nic.outbound.is_empty()) << (2 + 2 * position);
            open |= u64::from(!nic.outbound.is_empty()) << (2 + 2 * position);
        }
        for (position, disk) in self.disks.iter().enumerate() {
            ready |= u64::from(disk.is_ready()) << (32 + position);
        }
        ready = ready & interest | u64::from(self.shutdown);
        if open & interest != 0 {
            // A queue with something in it may or may not take more.
            ready |= self.observe(observed, false, Check::Nothing).cast_unsigned() & open & interest;
        }
        ready.cast_signed()
    }

    fn clock(&mut self, id: u64, mut refusals: Refusals, observed: Observed<'_>) -> i64 {
        refusals.add_if(id > 1, Status::INVAL);
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        if id == 0 {
            let check = Check::Time(self.latest_ns, observed.memory.monotonic_ns());
            let result = self.observe(observed, false, check);
            if observed.result.is_some() {
                self.latest_ns = result.cast_unsigned();
            }
            return result;
        }
        let now = observed.memory.wall_ns();
        let check = Check::Time(now.saturating_sub(WALL_TOLERANCE_NS), now.saturating_add(WALL_TOLERANCE_NS));
        self.observe(observed, false, check)
    }

    fn entropy(&mut self, address: u64, len: u64, mut refusals: Refusals, observed: Observed<'_>) -> i64 {
        refusals.add_if(!(1..=256).contains(&len), Status::INVAL);
        refusals.add_if(!self.memory.allows(address, len, true), Status::FAULT);
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        let mut fresh = [0; 256];
        let fresh = &mut fresh[..index(len)];
        observed.memory.read(address, fresh);
        let before = self.memory.bytes(address, len);
        // Eight bytes that stay the same by chance are not seen in the age of the universe.
        let check = match (before.first_chunk(), before.last_chunk()) {
            (Some(first), Some(last)) if !self.is_observed(address, len) => Check::Fresh(*first, *last),
            _ => Check::Random,
        };
        self.store(address, fresh);
        self.note_observation(address, len, false, check);
        len.cast_signed()
    }

    fn multicall(&mut self, raw: &RawCall, memory: &dyn Real, observed: Observed<'_>) -> i64 {
        let [address, count, ..] = raw.arguments;
        let mut refusals = Refusals::default();
        refusals.add_if(raw.arguments[2..].iter().any(|&slot| slot != 0), Status::INVAL);
        refusals_of_row(&mut refusals, address, count);
        let size_bytes = count.min(64) * ENTRY_BYTES;
        refusals.add_if(!self.memory.allows(address, size_bytes, true), Status::FAULT);
        if !refusals.is_empty() {
            let result = self.refused(refusals, observed);
            self.note(raw, result, false);
            return result;
        }
        let entries = self.memory.bytes(address, size_bytes).to_vec();
        for (position, entry) in (0..).zip(entries.chunks_exact(index(ENTRY_BYTES))) {
            let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| entry[8 * at + byte]));
            let call = RawCall { nr: word(0), arguments: std::array::from_fn(|slot| word(1 + slot)) };
            let at = address + position * ENTRY_BYTES + RESULT_OFFSET;
            let result = match call.nr & 0xffff_ffff {
                0 | 9 => Status::INVAL.to_result(),
                _ => self.single(&call, Observed { result: None, at, memory }),
            };
            self.store_result(at, result);
        }
        self.note(raw, count.cast_signed(), false);
        count.cast_signed()
    }

    /// Notes what kind of thing happened.
    fn note(&mut self, raw: &RawCall, result: i64, in_batch: bool) {
        let class = match result {
            ..0 => u32::try_from(-result).unwrap_or(0) & 15,
            0 => 16,
            value => 17 + value.ilog2().min(20),
        };
        let nr = u32::try_from(raw.nr & 15).unwrap_or(0);
        let device = u32::try_from(raw.arguments[0].min(3)).unwrap_or(0);
        let count = raw.arguments[2].checked_ilog2().map_or(0, |log| log.min(7) + 1);
        let previous = self.features.last().copied().unwrap_or(0) & 0x3ff;
        self.features.push(
            (previous << 22)
                ^ (count << 18)
                ^ (u32::from(in_batch) << 16)
                ^ (device << 12)
                ^ (nr << 6)
                ^ class,
        );
    }
}

fn check_exit(raw: &RawCall, flow: Flow) -> Result<(), Violation> {
    let [status, rest @ ..] = raw.arguments;
    let exits = (status <= 63 || status == 1 << 32) && rest == [0; 5];
    let right = match flow {
        Flow::Exit(exit) => exits && exit.to_raw() == status,
        Flow::BadExit(argument) => !exits && argument == status,
        Flow::Return(_) => false,
    };
    if right { Ok(()) } else { Err(Violation::new("end", format!("exit of {status:#x} gave {flow:?}"))) }
}

/// A result as a person reads it.
#[must_use]
pub fn name(result: i64) -> String {
    match Status::from_result(result) {
        Err(status) => format!("{status:?}"),
        Ok(value) if value > 0xffff => format!("{value:#x}"),
        Ok(value) => value.to_string(),
    }
}
