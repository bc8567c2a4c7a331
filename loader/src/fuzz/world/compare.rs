//! Whether everything is as the model has it.

use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::{Depth, World};
use crate::fuzz::model::{MemoryModel, Violation};
use crate::memory::WritableMemory;

impl World {
    /// Compares the world with the model.
    ///
    /// # Errors
    /// [`Violation`] naming the first difference.
    pub(in crate::fuzz) fn compare(&mut self, depth: Depth) -> Result<(), Violation> {
        self.compare_changed_memory()?;
        for nic in 0..self.ends.nics.len() {
            self.take_outbound(nic)?;
        }
        self.compare_console(depth)?;
        for disk in 0..self.ends.disks.len() {
            self.compare_disk(disk, depth)?;
        }
        if depth == Depth::Changed { Ok(()) } else { self.compare_everything() }
    }

    fn compare_changed_memory(&mut self) -> Result<(), Violation> {
        let memory = self.dispatcher.memory.writable();
        let model = &self.model.memory;
        model.changed().try_for_each(|range| compare_memory(memory, model, range))
    }

    /// Takes the frames that were sent and compares them.
    pub(super) fn take_outbound(&mut self, nic: usize) -> Result<(), Violation> {
        let ends = &self.ends.nics[nic];
        for expected in self.model.nics[nic].outbound.drain(..) {
            let taken = rustix::io::read(&ends.peer, &mut *self.ends.buffer).unwrap_or(0);
            if self.ends.buffer[..taken] != expected {
                let len = expected.len();
                let detail = format!("NIC {nic} sent {taken} bytes, expected {len} others");
                return Err(Violation::new("frame", detail));
            }
        }
        Ok(())
    }

    fn compare_console(&mut self, depth: Depth) -> Result<(), Violation> {
        let expected = &self.model.console;
        if expected.is_empty() && depth == Depth::Changed {
            return Ok(());
        }
        let real = room(&mut self.ends.buffer, expected.len());
        let whole = self.ends.console.read_exact_at(real, 0).is_ok();
        let len = expected.len() as u64;
        let written = if depth == Depth::Changed { Ok(len) } else { rustix::fs::tell(&self.ends.console) };
        if whole && *real == **expected && written == Ok(len) {
            return Ok(());
        }
        Err(Violation::new(
            "console",
            format!("{written:?} bytes were written, expected {len}, or other bytes"),
        ))
    }

    fn compare_disk(&mut self, disk: usize, depth: Depth) -> Result<(), Violation> {
        let model = &self.model.disks[disk];
        let len = model.content.len();
        // A read-only disk is long, and a write to it shows in a call's result.
        let all = depth == Depth::EachStep || depth == Depth::Everything && !model.read_only;
        let file = &self.ends.disks[disk];
        if all || model.shortest < model.pristine.len() {
            let real_len = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
            if real_len != len as u64 {
                return Err(Violation::new(
                    "disk",
                    format!("disk {disk} is {real_len} bytes, expected {len}"),
                ));
            }
        }
        for range in all.then_some(0..len).into_iter().chain(model.touched().filter(|_| !all)) {
            let range = range.start.min(len)..range.end.min(len);
            let real = room(&mut self.ends.buffer, range.len());
            let whole = file.read_exact_at(real, range.start as u64).is_ok();
            let expected = &model.content[range.clone()];
            if !whole || real != expected {
                let at = (0..real.len()).find(|&at| real[at] != expected[at]).unwrap_or(0) + range.start;
                return Err(Violation::new(
                    "disk",
                    format!("disk {disk} differs at byte {at}, or cannot be read"),
                ));
            }
        }
        Ok(())
    }

    /// Every byte of memory, and that no frame came that nobody sent.
    fn compare_everything(&mut self) -> Result<(), Violation> {
        let len = self.model.memory.expected.len();
        compare_memory(self.dispatcher.memory.writable(), &self.model.memory, 0..len)?;
        if self.dispatcher.memory.sealed().bytes() != self.model.memory.sealed {
            return Err(Violation::new("sealed", "read-only memory has changed"));
        }
        for (nic, ends) in self.ends.nics.iter().enumerate() {
            if let Ok(taken) = rustix::io::read(&ends.peer, &mut *self.ends.buffer) {
                return Err(Violation::new("frame", format!("NIC {nic} sent {taken} bytes too many")));
            }
        }
        Ok(())
    }
}

/// Compares a range of writable memory.
fn compare_memory(
    memory: &WritableMemory,
    model: &MemoryModel,
    range: Range<usize>,
) -> Result<(), Violation> {
    let expected = &model.expected[range.clone()];
    if memory.holds(range.start, expected) {
        return Ok(());
    }
    Err(difference(model, range.start, &memory.copy_out(range.start, range.len()), expected))
}

fn difference(model: &MemoryModel, from: usize, real: &[u8], expected: &[u8]) -> Violation {
    let at = (0..real.len()).find(|&at| real[at] != expected[at]).unwrap_or(0);
    let place = match model.address_of(from + at) {
        Some(address) => format!("at {address:#x}"),
        None => format!("outside the guest's regions, at offset {:#x} of its memory", from + at),
    };
    let until = (at + 8).min(real.len());
    let (real, expected) = (&real[at..until], &expected[at..until]);
    Violation::new("memory", format!("{real:02x?} {place}, expected {expected:02x?}"))
}

/// So many bytes of a buffer, which grows if it has to.
fn room(buffer: &mut Vec<u8>, size_bytes: usize) -> &mut [u8] {
    if buffer.len() < size_bytes {
        buffer.resize(size_bytes, 0);
    }
    &mut buffer[..size_bytes]
}
