//! The GNU build id: what an image and its symbol side file have in common.

use object::LittleEndian;
use object::elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID};
use object::read::elf::{FileHeader, ProgramHeader};

/// The build id of an ELF64 file, by its program headers, which both a linked file and a sealed image have.
///
/// # Errors
/// The parser's, for a file that is not ELF64 or whose notes are broken.
pub fn build_id(file: &[u8]) -> object::read::Result<Option<&[u8]>> {
    let header = FileHeader64::<LittleEndian>::parse(file)?;
    for segment in header.program_headers(LittleEndian, file)? {
        let Some(mut notes) = segment.notes(LittleEndian, file)? else { continue };
        while let Some(note) = notes.next()? {
            if note.name() == ELF_NOTE_GNU && note.n_type(LittleEndian) == NT_GNU_BUILD_ID {
                return Ok(Some(note.desc()));
            }
        }
    }
    Ok(None)
}
