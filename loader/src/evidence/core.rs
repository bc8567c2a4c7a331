//! An ELF core of a guest that broke, as gdb and other debuggers open it.
//!
//! ```text
//! ELF header | program headers | notes: process, registers, auxiliary vector | padding | region | region | ...
//! ```
//! Everything up to the regions is laid out before the first entry; after the last exit the registers are put in and the regions
//! copied behind, a part at a time, through a buffer that is there already. The file is opened by the parent. It is as long as
//! the guest's memory, which it holds as it is, secrets included.

mod elf;
mod notes;

use std::fs::File;

use rustix::io::{Errno, IoSlice};

use crate::address::{PAGE_BYTES, index};
use crate::image::Permission;
use crate::layout::{Plan, Region, Slot};
use crate::memory::Mapping;
use crate::monitor::memory::GuestMemory;
use crate::monitor::vcpu::Registers;

pub use notes::signal_of;

/// Bytes that are copied and written at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// A core that is ready to be written.
#[derive(Debug)]
pub struct Core {
    file: File,
    /// What precedes the regions, registers at [`Self::notes_at`] still zero.
    head: Vec<u8>,
    notes_at: usize,
    regions: Vec<Region>,
    buffer: Vec<u8>,
}

impl Core {
    /// Lays a core out for a machine of an appliance of that name. `file` is empty.
    #[must_use]
    pub fn new(plan: &Plan, name: &str, file: File) -> Self {
        // What CPL 3 cannot touch is the monitor's and tells nothing about the guest.
        let regions: Vec<Region> = plan.regions.iter().filter(|region| region.user).copied().collect();
        let notes = notes::notes(plan, name);
        let headers = regions.len() + 1;
        let notes_at = size_of::<elf::FileHeader>() + size_of::<elf::ProgramHeader>() * headers;
        let first = (notes_at + notes.len()).next_multiple_of(index(PAGE_BYTES));
        let mut head = Vec::with_capacity(first);
        elf::put(&mut head, &file_header(headers));
        elf::put(&mut head, &notes_header(notes_at, notes.len()));
        let mut offset = first as u64;
        for region in &regions {
            elf::put(&mut head, &region_header(region, offset));
            offset += region.size_bytes;
        }
        head.extend_from_slice(&notes);
        head.resize(first, 0);
        Self { file, head, notes_at, regions, buffer: vec![0; BUFFER_BYTES] }
    }

    /// Where it goes.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Length when it is whole.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.head.len() as u64 + self.regions.iter().map(|region| region.size_bytes).sum::<u64>()
    }

    /// Writes it, and says how many bytes the host has taken.
    pub fn write(&mut self, memory: &GuestMemory, registers: &Registers, signal: u8) -> u64 {
        notes::put_registers(&mut self.head[self.notes_at..], registers, signal);
        let mut written = 0;
        // An error, such as a full file system, ends it: the parent says that the core is not whole.
        let _ = self.write_all(memory, &mut written);
        written
    }

    fn write_all(&mut self, memory: &GuestMemory, written: &mut u64) -> Result<(), Errno> {
        write_part(&self.file, &self.head, written)?;
        for region in &self.regions {
            let backing: &Mapping = match region.slot {
                Slot::Writable => memory.writable(),
                Slot::ReadOnly | Slot::Tables => memory.sealed(),
            };
            for at in (0..region.size_bytes).step_by(BUFFER_BYTES) {
                let part = &mut self.buffer[..BUFFER_BYTES.min(index(region.size_bytes - at))];
                backing.copy_to(index(region.offset + at), part);
                write_part(&self.file, part, written)?;
            }
        }
        Ok(())
    }
}

fn write_part(file: &File, mut part: &[u8], written: &mut u64) -> Result<(), Errno> {
    while !part.is_empty() {
        match rustix::io::writev(file, &[IoSlice::new(part)]) {
            Ok(0) => return Err(Errno::IO),
            Ok(taken) => {
                part = &part[taken..];
                *written += taken as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn file_header(headers: usize) -> elf::FileHeader {
    elf::FileHeader {
        ident: elf::IDENT,
        kind: elf::ET_CORE,
        machine: elf::EM_X86_64,
        version: 1,
        headers_offset: size_of::<elf::FileHeader>() as u64,
        header_bytes: 64,
        program_header_bytes: 56,
        // The plan has at most 72 regions.
        program_headers: u16::try_from(headers).unwrap_or(u16::MAX),
        ..elf::FileHeader::default()
    }
}

fn notes_header(offset: usize, size_bytes: usize) -> elf::ProgramHeader {
    elf::ProgramHeader {
        kind: elf::PT_NOTE,
        offset: offset as u64,
        file_bytes: size_bytes as u64,
        align: 4,
        ..elf::ProgramHeader::default()
    }
}

fn region_header(region: &Region, offset: u64) -> elf::ProgramHeader {
    elf::ProgramHeader {
        kind: elf::PT_LOAD,
        flags: match region.permission {
            Permission::ReadOnly => elf::PF_R,
            Permission::ReadExecute => elf::PF_R | elf::PF_X,
            Permission::ReadWrite => elf::PF_R | elf::PF_W,
        },
        offset,
        address: region.gva.0,
        physical: 0,
        file_bytes: region.size_bytes,
        memory_bytes: region.size_bytes,
        align: PAGE_BYTES,
    }
}

#[cfg(test)]
mod tests;
