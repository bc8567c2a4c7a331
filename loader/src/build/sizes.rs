//! Where an image's bytes go: by segment, and by the package whose source the code comes from.

use std::collections::HashMap;

use addr2line::gimli::{self, EndianSlice, LittleEndian as DwarfEndian};
use object::LittleEndian;
use object::elf::{FileHeader64, PF_W, PF_X, PT_LOAD};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Object as _, ObjectSection as _};
use serde::{Deserialize, Serialize};

use super::origin::{Origin, Origins};

const ENDIAN: LittleEndian = LittleEndian;

/// A part of the image with one permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// `r`, `rx` or `rw`.
    pub access: String,
    /// Bytes in the file.
    pub file_bytes: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
}

/// Code of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Name of the package; `core` and the like for Rust's own library; `?` for code that no line table speaks of.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Bytes of instructions.
    pub bytes: u64,
}

/// The loadable segments.
pub(super) fn segments(image: &[u8]) -> object::read::Result<Vec<Segment>> {
    let header = FileHeader64::<LittleEndian>::parse(image)?;
    let loads = header.program_headers(ENDIAN, image)?.iter().filter(|part| part.p_type(ENDIAN) == PT_LOAD);
    let segment = |part: &object::elf::ProgramHeader64<LittleEndian>| {
        let flags = part.p_flags(ENDIAN).0;
        let letters = [('r', true), ('w', flags & PF_W.0 != 0), ('x', flags & PF_X.0 != 0)];
        Segment {
            access: letters.iter().filter(|(_, allowed)| *allowed).map(|(letter, _)| letter).collect(),
            file_bytes: part.p_filesz(ENDIAN),
            memory_bytes: part.p_memsz(ENDIAN),
        }
    };
    Ok(loads.map(segment).collect())
}

/// Code by package, most first, out of a linked file with line tables.
pub(super) fn code(linked: &[u8], origins: &Origins) -> Vec<Code> {
    let mut bytes_of: HashMap<Origin, u64> = HashMap::new();
    let Ok(elf) = ElfFile64::<LittleEndian>::parse(linked) else { return Vec::new() };
    let Some(text) = elf.section_by_name(".text") else { return Vec::new() };
    let mut known = 0;
    if let Some(context) = context(&elf) {
        let (low, high) = (text.address(), text.address() + text.size());
        for (start, size, place) in context.find_location_range(low, high).into_iter().flatten() {
            let size = size.min(high.saturating_sub(start));
            known += size;
            *bytes_of.entry(place.file.map_or_else(Origin::unknown, |file| origins.of(file))).or_default() +=
                size;
        }
    }
    *bytes_of.entry(Origin::unknown()).or_default() += text.size().saturating_sub(known);
    let mut code: Vec<Code> = bytes_of
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(Origin { name, version }, bytes)| Code { package: name, version, bytes })
        .collect();
    code.sort_by(|left, right| right.bytes.cmp(&left.bytes).then_with(|| left.package.cmp(&right.package)));
    code
}

type Reader<'file> = EndianSlice<'file, DwarfEndian>;

fn context<'file>(elf: &ElfFile64<'file, LittleEndian>) -> Option<addr2line::Context<Reader<'file>>> {
    let section = |id: gimli::SectionId| {
        let data = elf.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok::<_, gimli::Error>(EndianSlice::new(data.unwrap_or_default(), DwarfEndian))
    };
    addr2line::Context::from_dwarf(gimli::Dwarf::load(section).ok()?).ok()
}
