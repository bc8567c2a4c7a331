//! Sealing: from the linked file to the bytes that a machine will load, and nothing else.
//!
//! An ELF file is loaded by its program headers. Section headers, symbols and debug data lie behind the last loadable byte;
//! the image ends there, and its ELF header no longer says that anything follows. The linked file itself is kept beside the
//! image as the symbol side file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hvcall::note;
use object::LittleEndian;
use object::elf::{EM_X86_64, ET_DYN, FileHeader64, PT_INTERP, PT_LOAD, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

use super::{BuildError, SealError, file_error};
use crate::symbols::build_id;

const ENDIAN: LittleEndian = LittleEndian;

/// Where the fields that sealing clears lie in the ELF header (gABI, "ELF Header", 64-bit): `e_shoff`, then `e_shnum` and
/// `e_shstrndx` side by side.
const SECTION_FIELDS: [core::ops::Range<usize>; 2] = [40..48, 60..64];
const _: () = {
    use core::mem::offset_of;
    type Header = FileHeader64<LittleEndian>;
    assert!(offset_of!(Header, e_shoff) == 40 && offset_of!(Header, e_flags) == 48);
    assert!(offset_of!(Header, e_shnum) == 60 && offset_of!(Header, e_shstrndx) == 62);
    assert!(size_of::<Header>() == 64);
};

/// The image of a linked file: its bytes up to the last loadable one, with no sections.
///
/// # Errors
/// [`SealError`] if the file is not a static position-independent program with a Ringwall manifest and a build id.
pub fn seal(linked: &[u8]) -> Result<Vec<u8>, SealError> {
    let header = FileHeader64::<LittleEndian>::parse(linked).map_err(SealError::Elf)?;
    let (kind, machine) = (header.e_type(ENDIAN), header.e_machine(ENDIAN));
    if kind != ET_DYN || machine != EM_X86_64 {
        return Err(SealError::Kind { kind: kind.0, machine: machine.0 });
    }
    let segments = header.program_headers(ENDIAN, linked).map_err(SealError::Elf)?;
    if segments.iter().any(|segment| segment.p_type(ENDIAN) == PT_INTERP) {
        return Err(SealError::Interpreter);
    }
    if header.e_entry(ENDIAN) == 0 {
        return Err(SealError::NoEntry);
    }
    if !has_manifest(segments, linked)? {
        return Err(SealError::NoManifest);
    }
    build_id(linked).map_err(SealError::Elf)?.ok_or(SealError::NoBuildId)?;
    let headers_end = header.e_phoff(ENDIAN) + size_of_val(segments) as u64;
    let end = loadable_end(segments).filter(|&end| headers_end <= end).ok_or(SealError::Segments)?;
    let end = usize::try_from(end).map_err(|_| SealError::Segments)?;
    let mut image = linked.get(..end).ok_or(SealError::Segments)?.to_vec();
    for field in SECTION_FIELDS {
        image.get_mut(field).ok_or(SealError::Segments)?.fill(0);
    }
    Ok(image)
}

/// End of the file content of the last `PT_LOAD`.
fn loadable_end(segments: &[ProgramHeader64<LittleEndian>]) -> Option<u64> {
    let loads = segments.iter().filter(|segment| segment.p_type(ENDIAN) == PT_LOAD);
    let ends = loads.map(|load| load.p_offset(ENDIAN).checked_add(load.p_filesz(ENDIAN)));
    ends.collect::<Option<Vec<u64>>>()?.into_iter().max()
}

fn has_manifest(segments: &[ProgramHeader64<LittleEndian>], linked: &[u8]) -> Result<bool, SealError> {
    for segment in segments {
        let Some(mut notes) = segment.notes(ENDIAN, linked).map_err(SealError::Elf)? else { continue };
        while let Some(found) = notes.next().map_err(SealError::Elf)? {
            if found.name() == note::NOTE_NAME.as_bytes() && found.n_type(ENDIAN).0 == note::NOTE_MANIFEST {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// An image and its symbol side file, in memory.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// The image's content.
    pub(super) image: Vec<u8>,
    /// The side file's content: all of the linked file.
    pub(super) symbols: Vec<u8>,
}

impl Sealed {
    /// Seals a linked file.
    pub(super) fn read(linked: &Path) -> Result<Self, BuildError> {
        let symbols = fs::read(linked).map_err(file_error("read", linked))?;
        let image =
            seal(&symbols).map_err(|source| BuildError::Seal { linked: linked.to_owned(), source })?;
        Ok(Self { image, symbols })
    }

    /// Writes `folder/NAME.img` and `folder/NAME.debug`, the latter as a hard link to `linked` where that works.
    ///
    /// Each file appears complete or not at all, and is left alone where it is right already.
    pub(super) fn place(&self, linked: &Path, folder: &Path, name: &str) -> Result<(), BuildError> {
        fs::create_dir_all(folder).map_err(file_error("create", folder))?;
        let image = folder.join(format!("{name}.img"));
        let symbols = folder.join(format!("{name}.debug"));
        // The side file first: an image without its side file would be believed to have none.
        if !holds(&symbols, &self.symbols) {
            replace(&symbols, |temporary| {
                fs::hard_link(linked, temporary).or_else(|_| fs::copy(linked, temporary).map(drop))
            })?;
        }
        if !holds(&image, &self.image) {
            replace(&image, |temporary| fs::write(temporary, &self.image))?;
        }
        Ok(())
    }
}

/// Whether the file exists with exactly this content.
fn holds(path: &Path, content: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == content.len() as u64)
        && fs::read(path).is_ok_and(|found| found == content)
}

/// Makes a file under a temporary name and moves it into place in one step.
pub(super) fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BuildError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // A leftover of a killed build that had the same process id; usually there is none.
    let _ = fs::remove_file(&temporary);
    let made = make(&temporary).and_then(|()| fs::rename(&temporary, path));
    // Renaming one hard link over another of the same file does nothing (rename(2)), so the temporary name may still exist.
    let _ = fs::remove_file(&temporary);
    made.map_err(file_error("write", path))
}

#[cfg(test)]
mod tests;
