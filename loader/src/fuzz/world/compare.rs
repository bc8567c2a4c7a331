//! Whether everything is as the model has it.

use std::os::unix::fs::FileExt as _;

use super::{Depth, World};
use crate::fuzz::model::Violation;

/// Bytes of guest memory that are compared at a time.
const CHUNK_BYTES: usize = 16 * 1024;

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

    fn compare_changed_memory(&self) -> Result<(), Violation> {
        for range in self.model.memory.changed() {
            self.compare_memory(range.start, range.end)?;
        }
        Ok(())
    }

    fn compare_memory(&self, from: usize, to: usize) -> Result<(), Violation> {
        let real = self.dispatcher.memory.writable().copy_out(from, to - from);
        let expected = &self.model.memory.expected[from..to];
        if real == expected {
            return Ok(());
        }
        let at = (0..real.len()).find(|&at| real[at] != expected[at]).unwrap_or(0);
        let place = match self.model.memory.address_of(from + at) {
            Some(address) => format!("at {address:#x}"),
            None => format!("outside the guest's regions, at offset {:#x} of its memory", from + at),
        };
        let until = (at + 8).min(real.len());
        let (real, expected) = (&real[at..until], &expected[at..until]);
        Err(Violation::new("memory", format!("{real:02x?} {place}, expected {expected:02x?}")))
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

    fn compare_console(&self, depth: Depth) -> Result<(), Violation> {
        let expected = &self.model.console;
        if expected.is_empty() && depth == Depth::Changed {
            return Ok(());
        }
        let mut real = vec![0; expected.len()];
        let whole = self.ends.console.read_exact_at(&mut real, 0).is_ok();
        let len = expected.len() as u64;
        let written = if depth == Depth::Changed { Ok(len) } else { rustix::fs::tell(&self.ends.console) };
        if whole && real == *expected && written == Ok(len) {
            return Ok(());
        }
        Err(Violation::new(
            "console",
            format!("{written:?} bytes were written, expected {len}, or other bytes"),
        ))
    }

    fn compare_disk(&self, disk: usize, depth: Depth) -> Result<(), Violation> {
        let model = &self.model.disks[disk];
        let len = model.content.len();
        let touched = model.touched();
        let cut = model.shortest < model.pristine.len();
        // A read-only disk is long, and a write to it shows in a call's result.
        let all = depth == Depth::EachStep || depth == Depth::Everything && !model.read_only;
        let range = if all { 0..len } else { touched.start.min(len)..touched.end.min(len) };
        if touched.is_empty() && !all {
            return Ok(());
        }
        let mut real = vec![0; range.len()];
        let whole = self.ends.disks[disk].read_exact_at(&mut real, range.start as u64).is_ok();
        let expected_len = model.content.len() as u64;
        let len = || self.ends.disks[disk].metadata().map_or(u64::MAX, |metadata| metadata.len());
        let len = if all || cut { len() } else { expected_len };
        let expected = &model.content[range.clone()];
        if whole && real == expected && len == expected_len {
            return Ok(());
        }
        let at = (0..real.len()).find(|&at| real[at] != expected[at]).unwrap_or(0) + range.start;
        let detail = format!("disk {disk} differs at byte {at}, or is {len} bytes and not {expected_len}");
        Err(Violation::new("disk", detail))
    }

    /// Every byte of memory, and that no frame came that nobody sent.
    fn compare_everything(&mut self) -> Result<(), Violation> {
        let len = self.model.memory.expected.len();
        for from in (0..len).step_by(CHUNK_BYTES) {
            self.compare_memory(from, (from + CHUNK_BYTES).min(len))?;
        }
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
