//! Disks as they have to behave.

use std::collections::VecDeque;
use std::ops::Range;

use hvcall::Status;

use super::Model;
use super::call::{Observed, Row};
use crate::address::index;

const REQUEST_BYTES: u64 = 32;
const COMPLETION_BYTES: u64 = 16;
/// Completions that wait at most.
const ROOM: usize = 64;
const MAX_DATA_BYTES: u64 = 1 << 20;
/// Ranges of a disk that are kept apart; more become one.
const MAX_RANGES: usize = 32;

/// A disk.
#[derive(Debug)]
pub struct DiskModel {
    /// Bytes of a sector.
    pub sector_bytes: u64,
    /// Whether writes are refused.
    pub read_only: bool,
    /// The file as it has to be. Shorter than the disk once it has been cut.
    pub content: Vec<u8>,
    /// The file at a program's start; as long as the disk.
    pub pristine: Vec<u8>,
    /// Parts of the file that may differ from its start. They may overlap.
    changed: Vec<Range<usize>>,
    /// The shortest that the file has been.
    pub shortest: usize,
    completions: VecDeque<(u64, i64)>,
}

struct Request {
    tag: u64,
    sector: u64,
    address: u64,
    sectors: u64,
    operation: u32,
}

impl Request {
    fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| (0..8).fold(0, |word, byte| word | u64::from(bytes[at + byte]) << (8 * byte));
        let last = word(24);
        Self {
            tag: word(0),
            sector: word(8),
            address: word(16),
            sectors: last & 0xffff_ffff,
            operation: u32::try_from(last >> 32).unwrap_or(u32::MAX),
        }
    }
}

impl DiskModel {
    /// A disk with this content.
    #[must_use]
    pub fn new(content: Vec<u8>, sector_bytes: u64, read_only: bool) -> Self {
        Self {
            sector_bytes,
            read_only,
            shortest: content.len(),
            pristine: content.clone(),
            content,
            changed: Vec::new(),
            completions: VecDeque::new(),
        }
    }

    /// Whether a completion waits.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.completions.is_empty()
    }

    /// Cuts the file.
    pub fn truncate(&mut self, size_bytes: usize) {
        self.content.resize(size_bytes.min(self.pristine.len()), 0);
        self.shortest = self.shortest.min(self.content.len());
    }

    /// What of the file may differ from its start.
    pub fn touched(&self) -> impl Iterator<Item = Range<usize>> {
        let cut = self.shortest..self.pristine.len();
        self.changed.iter().cloned().chain((!cut.is_empty()).then_some(cut))
    }

    /// Makes everything as it was at the start.
    pub fn reset(&mut self) {
        self.completions.clear();
        self.content.resize(self.pristine.len(), 0);
        let cut = self.shortest..self.pristine.len();
        for range in self.changed.drain(..).chain([cut]) {
            self.content[range.clone()].copy_from_slice(&self.pristine[range]);
        }
        self.shortest = self.pristine.len();
    }

    fn touch(&mut self, range: Range<usize>) {
        let is_full = self.changed.len() == MAX_RANGES;
        match self.changed.last_mut() {
            Some(last) if is_full || range.start <= last.end && last.start <= range.end => {
                *last = last.start.min(range.start)..last.end.max(range.end);
            }
            _ => self.changed.push(range),
        }
    }

    fn write(&mut self, at: usize, data: &[u8]) {
        if self.content.len() < at + data.len() {
            self.content.resize(at + data.len(), 0);
        }
        self.content[at..at + data.len()].copy_from_slice(data);
        self.touch(at..at + data.len());
    }

    fn discard(&mut self, at: usize, size_bytes: usize) {
        let end = (at + size_bytes).min(self.content.len());
        if at < end {
            self.content[at..end].fill(0);
        }
        self.touch(at..at + size_bytes);
    }
}

impl Model {
    fn is_bad(&self, disk: &DiskModel, request: &Request) -> (bool, bool, bool) {
        let size_bytes = request.sectors * disk.sector_bytes;
        let beyond = u128::from(request.sector) + u128::from(request.sectors)
            > disk.pristine.len() as u128 / u128::from(disk.sector_bytes);
        let moves = request.operation < 2;
        let writes = matches!(request.operation, 1 | 3);
        let invalid = match request.operation {
            0 | 1 => beyond || request.sectors == 0 || size_bytes > MAX_DATA_BYTES,
            2 => request.sector != 0 || request.address != 0 || request.sectors != 0,
            3 => beyond || request.sectors == 0 || request.address != 0,
            _ => true,
        };
        let fault = moves && !self.memory.allows(request.address, size_bytes, request.operation == 0);
        (invalid, fault, writes && disk.read_only)
    }

    pub(super) fn block_submit(&mut self, row: &Row, observed: Observed<'_>) -> i64 {
        let mut refusals = row.refusals;
        refusals.add_if(row.device >= self.disks.len(), Status::NODEV);
        refusals.add_if(!self.memory.allows(row.address, row.count * REQUEST_BYTES, false), Status::FAULT);
        self.note_targets_read(row.address, row.count * REQUEST_BYTES);
        let bytes = self.memory.bytes(row.address, row.count * REQUEST_BYTES);
        let requests: Vec<Request> = bytes.chunks_exact(index(REQUEST_BYTES)).map(Request::read).collect();
        if let Some(disk) = self.disks.get(row.device) {
            for request in &requests {
                let (invalid, fault, read_only) = self.is_bad(disk, request);
                refusals.add_if(invalid, Status::INVAL);
                refusals.add_if(fault, Status::FAULT);
                refusals.add_if(read_only, Status::ROFS);
            }
        }
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        let mut accepted = 0;
        for request in &requests {
            if self.disks[row.device].completions.len() == ROOM {
                break;
            }
            let result = self.carry_out(row.device, request);
            self.disks[row.device].completions.push_back((request.tag, result));
            accepted += 1;
        }
        if accepted == 0 && row.count != 0 { Status::AGAIN.to_result() } else { accepted }
    }

    fn carry_out(&mut self, device: usize, request: &Request) -> i64 {
        if request.operation == 1 {
            self.note_read(request.address, request.sectors * self.disks[device].sector_bytes);
        }
        let disk = &mut self.disks[device];
        let at = index(request.sector * disk.sector_bytes);
        let size_bytes = request.sectors * disk.sector_bytes;
        match request.operation {
            0 => {
                let end = (at + index(size_bytes)).min(disk.content.len());
                let data = disk.content.get(at..end).unwrap_or(&[]).to_vec();
                self.store(request.address, &data);
                if (data.len() as u64) < size_bytes { Status::IO.to_result() } else { 0 }
            }
            1 => {
                let data = self.memory.bytes(request.address, size_bytes);
                disk.write(at, data);
                0
            }
            3 => {
                disk.discard(at, index(size_bytes));
                0
            }
            _ => 0,
        }
    }

    pub(super) fn block_reap(&mut self, row: &Row, observed: Observed<'_>) -> i64 {
        let mut refusals = row.refusals;
        refusals.add_if(row.device >= self.disks.len(), Status::NODEV);
        refusals.add_if(!self.memory.allows(row.address, row.count * COMPLETION_BYTES, true), Status::FAULT);
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        let mut written = 0;
        while written < row.count {
            let Some((tag, result)) = self.disks[row.device].completions.pop_front() else { break };
            let at = row.address + written * COMPLETION_BYTES;
            self.store(at, &tag.to_le_bytes());
            self.store(at + 8, &result.to_le_bytes());
            written += 1;
        }
        written.cast_signed()
    }
}
