//! Relocations: `R_X86_64_RELATIVE` inside writable memory, and nothing else.

use std::ops::Range;

use object::LittleEndian;
use object::elf::{
    DT_JMPREL, DT_NEEDED, DT_NULL, DT_REL, DT_RELA, DT_RELAENT, DT_RELASZ, DT_RELR, DT_TEXTREL,
    R_X86_64_RELATIVE,
};
use object::read::elf::{Dyn as _, ProgramHeader as _};

use super::parse::{Header, dynamic_header};
use super::{ImageError, Permission, Segment};
use crate::address::index;

/// Bytes of an `Elf64_Rela`.
const ENTRY_BYTES: usize = 24;
/// Most entries of the dynamic section that are looked at.
const MAX_DYNAMIC: usize = 128;

/// One relocation: the 8 bytes at `offset` become `base + addend`. Link-time addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Address to change.
    pub offset: u64,
    /// Address that it is to hold, before the image's base is added.
    pub addend: u64,
}

/// Finds the relocation table, as a range of the file, and checks every entry.
pub(super) fn find(
    headers: &[Header],
    segments: &[Segment],
    bytes: &[u8],
) -> Result<Range<usize>, ImageError> {
    let Some(header) = dynamic_header(headers) else { return Ok(0..0) };
    let (mut address, mut size_bytes, mut entry_bytes) = (0, 0, ENTRY_BYTES as u64);
    for entry in header.dynamic(LittleEndian, bytes)?.unwrap_or_default().iter().take(MAX_DYNAMIC) {
        let value = entry.d_val(LittleEndian);
        match entry.d_tag(LittleEndian) {
            DT_NULL => break,
            DT_RELA => address = value,
            DT_RELASZ => size_bytes = value,
            DT_RELAENT => entry_bytes = value,
            DT_NEEDED => return Err(ImageError::Dynamic("it needs a shared library")),
            DT_REL | DT_JMPREL | DT_RELR => {
                return Err(ImageError::Dynamic("it has an unknown kind of relocation table"));
            }
            DT_TEXTREL => return Err(ImageError::Dynamic("it has relocations in read-only memory")),
            _ => {}
        }
    }
    if size_bytes == 0 {
        return Ok(0..0);
    }
    if entry_bytes != ENTRY_BYTES as u64 || !size_bytes.is_multiple_of(ENTRY_BYTES as u64) {
        return Err(ImageError::Dynamic("its relocation table has the wrong entry size"));
    }
    let table = file_range(segments, address, size_bytes)
        .ok_or(ImageError::Dynamic("its relocation table lies outside the image"))?;
    check(&bytes[table.clone()], segments)?;
    Ok(table)
}

/// Decodes a checked table.
pub(super) fn decode(table: &[u8]) -> impl Iterator<Item = Relocation> {
    table
        .chunks_exact(ENTRY_BYTES)
        .map(|entry| Relocation { offset: word(entry, 0), addend: word(entry, 16) })
}

fn check(table: &[u8], segments: &[Segment]) -> Result<(), ImageError> {
    let span = segments.last().map_or(0, |segment| segment.memory.end);
    for (index, entry) in table.chunks_exact(ENTRY_BYTES).enumerate() {
        let (offset, info, addend) = (word(entry, 0), word(entry, 8), word(entry, 16));
        let fail = |reason| Err(ImageError::Relocation { index, offset, reason });
        if info != u64::from(R_X86_64_RELATIVE.0) {
            return fail("it is not R_X86_64_RELATIVE");
        }
        if addend > span {
            return fail("it points outside the image");
        }
        let writable = segments.iter().any(|segment| {
            segment.permission == Permission::ReadWrite
                && offset >= segment.memory.start
                && offset
                    .checked_add(8)
                    .is_some_and(|end| end - segment.memory.start <= segment.file.len() as u64)
        });
        if !writable {
            return fail("it changes memory that is not initialised, writable data");
        }
    }
    Ok(())
}

fn file_range(segments: &[Segment], address: u64, size_bytes: u64) -> Option<Range<usize>> {
    segments.iter().find_map(|segment| {
        let start = address.checked_sub(segment.memory.start)?;
        let end = start.checked_add(size_bytes)?;
        (end <= segment.file.len() as u64)
            .then(|| segment.file.start + index(start)..segment.file.start + index(end))
    })
}

fn word(entry: &[u8], at: usize) -> u64 {
    hvcall::Wire::read(&entry[at..])
}
