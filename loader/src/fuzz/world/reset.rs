//! Everything as before the program.

use std::os::unix::fs::FileExt as _;

use hvcall::Gva;

use super::{World, devices};
use crate::monitor::signals::Signals;

impl World {
    /// Puts back what the program has changed.
    pub(in crate::fuzz) fn reset(&mut self) {
        self.reset_memory();
        for nic in 0..self.ends.nics.len() {
            for _ in 0..self.model.nics[nic].inbound.len() {
                let _ = rustix::io::read(&self.ends.nics[nic].own, &mut *self.ends.buffer);
            }
            self.model.nics[nic].reset();
        }
        if !self.model.console.is_empty() {
            let _ = rustix::fs::seek(&self.ends.console, rustix::fs::SeekFrom::Start(0));
            self.model.console.clear();
        }
        for disk in 0..self.ends.disks.len() {
            self.reset_disk(disk);
        }
        if self.model.shutdown {
            if let Ok((reader, writer)) = devices::signals_pipe() {
                self.dispatcher.signals = Signals::new(reader);
                self.ends.signals = writer;
            }
            self.model.shutdown = false;
        }
        self.dispatcher.shutdown_told = false;
    }

    /// Puts back everything that is not broken, whatever has changed: after a program whose effects are not known.
    pub(in crate::fuzz) fn repair(&mut self) {
        for nic in &self.ends.nics {
            for end in [&nic.peer, &nic.own] {
                while rustix::io::read(end, &mut *self.ends.buffer).is_ok() {}
            }
        }
        let memory = self.dispatcher.memory.writable();
        for &(start, size_bytes) in &self.reach {
            self.model.memory.mark_unless(start, size_bytes, |offset, bytes| memory.holds(offset, bytes));
        }
        for disk in &mut self.model.disks {
            if !disk.read_only {
                disk.shortest = 0;
            }
        }
        for (disk, ends) in self.model.disks.iter().zip(&self.ends.disks) {
            let _ = ends.set_len(disk.pristine.len() as u64);
        }
        self.model.console.push(0);
        self.model.shutdown |= self.exits;
        self.reset();
        for disk in 0..self.ends.disks.len() {
            self.drop_completions(disk);
        }
    }

    /// Whether programs had memory written that is not theirs: the guest's own, which it may not survive.
    pub(in crate::fuzz) fn is_beyond_reach(&self) -> bool {
        let memory = &self.model.memory;
        memory.changed().filter_map(|range| memory.address_of(range.start)).any(|address| {
            !self.reach.iter().any(|&(start, size_bytes)| address.wrapping_sub(start) < size_bytes)
        })
    }

    fn reset_memory(&mut self) {
        for range in self.model.memory.changed() {
            // Regions are a page apart, so a range lies in one.
            let Some(address) = self.model.memory.address_of(range.start) else { continue };
            if let Ok(target) = self.dispatcher.memory.target(Gva(address), range.len() as u64) {
                target.copy_from(&self.model.memory.pristine[range]);
            }
        }
        self.model.memory.reset();
    }

    fn reset_disk(&mut self, disk: usize) {
        if self.model.disks[disk].is_ready() {
            self.drop_completions(disk);
        }
        let model = &mut self.model.disks[disk];
        for range in model.touched() {
            let _ = self.ends.disks[disk].write_all_at(&model.pristine[range.clone()], range.start as u64);
        }
        model.reset();
    }

    fn drop_completions(&mut self, disk: usize) {
        if let Ok(nowhere) = self.dispatcher.memory.target(Gva(self.extents[0].start), 0) {
            self.dispatcher.disks[disk].reap(&nowhere, 64);
        }
    }
}
