//! NICs as they have to behave.

use std::collections::VecDeque;

use hvcall::Status;

use super::call::{Observed, Row};
use super::observe::Check;
use super::{Model, Refusals};
use crate::address::index;

/// Bytes of a frame descriptor.
const FRAME_BYTES: u64 = 24;
/// Bytes of the header that precedes each frame on a NIC with offloads.
const HEADER_BYTES: usize = 10;
/// A socket pair surely takes a frame as long as fewer than these wait in it. Above, it may be full.
const SURE_FRAMES: usize = 9;
const SURE_BYTES: usize = 20 * 1024;

/// A NIC.
#[derive(Debug, Default)]
pub struct NicModel {
    /// Whether it offers checksum and segmentation offload, and so has headers.
    pub offloads: bool,
    /// Messages that have arrived and were not received.
    pub inbound: VecDeque<Vec<u8>>,
    /// Messages that were sent and not taken by the other end.
    pub outbound: VecDeque<Vec<u8>>,
}

/// A descriptor, decoded from its documented layout.
struct Descriptor {
    address: u64,
    size_bytes: u32,
    /// flags, gso_type, header_bytes, gso_size, csum_start, csum_offset
    fields: [u16; 6],
}

impl Descriptor {
    fn read(bytes: &[u8]) -> Self {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let low = u32::from(half(8)) | u32::from(half(10)) << 16;
        let address = (0..8).fold(0, |address, at| address | u64::from(bytes[at]) << (8 * at));
        let fields = [half(12), half(14), half(16), half(18), half(20), half(22)];
        Self { address, size_bytes: low, fields }
    }

    /// Why it cannot be sent.
    fn refusals_to_send(&self, offloads: bool) -> bool {
        let [flags, gso_type, header_bytes, gso_size, csum_start, csum_offset] = self.fields;
        let size = u64::from(self.size_bytes);
        let bad_size = !(14..=65_535).contains(&size);
        let sum_end = u64::from(csum_start) + u64::from(csum_offset) + 2;
        let bad_sum = match flags {
            0 => csum_start != 0 || csum_offset != 0,
            1 => !offloads || sum_end > size,
            _ => true,
        };
        let bad_segments = match gso_type {
            0 => gso_size != 0 || header_bytes != 0,
            1 | 4 => {
                !offloads
                    || flags != 1
                    || gso_size == 0
                    || u64::from(header_bytes) > size
                    || header_bytes < csum_start
            }
            _ => true,
        };
        bad_size || bad_sum || bad_segments
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let [flags, gso_type, header_bytes, gso_size, csum_start, csum_offset] = self.fields;
        let mut header = [0; HEADER_BYTES];
        [header[0], header[1]] = [flags.to_le_bytes()[0], gso_type.to_le_bytes()[0]];
        for (place, field) in
            header[2..].chunks_exact_mut(2).zip([header_bytes, gso_size, csum_start, csum_offset])
        {
            place.copy_from_slice(&field.to_le_bytes());
        }
        header
    }
}

impl NicModel {
    /// Takes over what a program's start needs: nothing under way.
    pub fn reset(&mut self) {
        self.inbound.clear();
        self.outbound.clear();
    }

    /// Whether the next frame is surely taken.
    fn surely_takes_one(&self) -> bool {
        self.outbound.len() < SURE_FRAMES && self.outbound.iter().map(Vec::len).sum::<usize>() < SURE_BYTES
    }
}

impl Model {
    fn descriptors(&self, row: &Row) -> Vec<Descriptor> {
        let bytes = self.memory.bytes(row.address, row.count * FRAME_BYTES);
        bytes.chunks_exact(index(FRAME_BYTES)).map(Descriptor::read).collect()
    }

    pub(super) fn net_send(&mut self, row: &Row, observed: Observed<'_>) -> i64 {
        let mut refusals = row.refusals;
        let offloads = self.nics.get(row.device).is_some_and(|nic| nic.offloads);
        refusals.add_if(row.device >= self.nics.len(), Status::NODEV);
        refusals.add_if(!self.memory.allows(row.address, row.count * FRAME_BYTES, false), Status::FAULT);
        self.note_read(row.address, row.count * FRAME_BYTES);
        let frames = self.descriptors(row);
        for frame in &frames {
            refusals.add_if(frame.refusals_to_send(offloads), Status::INVAL);
            let readable = self.memory.allows(frame.address, u64::from(frame.size_bytes), false);
            refusals.add_if(!readable, Status::FAULT);
        }
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        let again = Status::AGAIN.to_result();
        let mut sure = 0;
        let mut choice = None;
        for (position, frame) in (0..).zip(&frames) {
            if !self.nics[row.device].surely_takes_one() {
                // From here on the observed result decides how many went.
                let result = *choice.get_or_insert_with(|| self.observe(observed, true, Check::Nothing));
                if position >= result {
                    break;
                }
            }
            let mut message = if offloads { frame.header().to_vec() } else { Vec::new() };
            self.note_read(frame.address, u64::from(frame.size_bytes));
            message.extend_from_slice(self.memory.bytes(frame.address, u64::from(frame.size_bytes)));
            self.nics[row.device].outbound.push_back(message);
            sure += 1;
        }
        if sure == 0 && row.count != 0 { again } else { sure }
    }

    pub(super) fn net_receive(&mut self, row: &Row, observed: Observed<'_>) -> i64 {
        let mut refusals = row.refusals;
        refusals.add_if(row.device >= self.nics.len(), Status::NODEV);
        refusals.add_if(!self.memory.allows(row.address, row.count * FRAME_BYTES, true), Status::FAULT);
        self.note_targets_read(row.address, row.count * FRAME_BYTES);
        let buffers = self.descriptors(row);
        for buffer in &buffers {
            let good = (1..=65_535).contains(&buffer.size_bytes) && buffer.fields == [0; 6];
            refusals.add_if(!good, Status::INVAL);
            let writable = self.memory.allows(buffer.address, u64::from(buffer.size_bytes), true);
            refusals.add_if(!writable, Status::FAULT);
        }
        if !refusals.is_empty() {
            return self.refused(refusals, observed);
        }
        let offloads = self.nics[row.device].offloads;
        let mut received: u64 = 0;
        for buffer in &buffers {
            loop {
                let Some(message) = self.nics[row.device].inbound.pop_front() else {
                    return if received == 0 { Status::AGAIN.to_result() } else { received.cast_signed() };
                };
                let (header, frame) = message.split_at(if offloads { HEADER_BYTES } else { 0 });
                let fits = (14..=index(u64::from(buffer.size_bytes))).contains(&frame.len());
                // Also of a frame that is dropped the buffer may hold the beginning.
                let head = &frame[..frame.len().min(index(u64::from(buffer.size_bytes)))];
                self.store(buffer.address, head);
                if fits {
                    self.store(row.address + received * FRAME_BYTES, &arrived(buffer.address, frame, header));
                    received += 1;
                    break;
                }
            }
        }
        received.cast_signed()
    }
}

/// The descriptor of a frame that has arrived.
fn arrived(address: u64, frame: &[u8], header: &[u8]) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
    if let [flags, gso_type, rest @ ..] = header {
        (bytes[12], bytes[14]) = (*flags, *gso_type);
        bytes[16..16 + rest.len()].copy_from_slice(rest);
    }
    bytes
}

/// The reasons to refuse a row before its array is looked at.
pub(super) fn refusals_of_row(refusals: &mut Refusals, address: u64, count: u64) {
    refusals.add_if(count > 64 || !address.is_multiple_of(8), Status::INVAL);
}
