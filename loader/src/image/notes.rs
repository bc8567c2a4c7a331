//! The two Ringwall notes.

use hvcall::note::{NOTE_GATE, NOTE_MANIFEST, NOTE_NAME};
use hvcall::{Manifest, Wire};
use object::LittleEndian;
use object::read::elf::ProgramHeader as _;

use super::ImageError;
use super::parse::{Header, note_headers};

/// Most notes of all names that are looked at.
const MAX_NOTES: usize = 32;

/// What the notes say.
pub(crate) struct Notes {
    pub(crate) manifest: Manifest,
    /// Link-time address of the gate page, as claimed.
    pub(crate) gate: u64,
}

impl Notes {
    /// Finds both, each once. Neither has been checked.
    pub(crate) fn find(headers: &[Header], bytes: &[u8]) -> Result<Self, ImageError> {
        find(headers, bytes)
    }
}

fn find(headers: &[Header], bytes: &[u8]) -> Result<Notes, ImageError> {
    let (mut manifest, mut gate) = (None, None);
    for header in note_headers(headers) {
        let Some(mut notes) = header.notes(LittleEndian, bytes)? else { continue };
        for _ in 0..MAX_NOTES {
            let Some(note) = notes.next()? else { break };
            if note.name() != NOTE_NAME.as_bytes() {
                continue;
            }
            match note.n_type(LittleEndian).0 {
                NOTE_MANIFEST if note.desc().len() == Manifest::SIZE_BYTES => {
                    set_once(&mut manifest, Manifest::read(note.desc()))?;
                }
                NOTE_GATE if note.desc().len() == 8 => {
                    let place = address_of(note.desc(), bytes, header)?;
                    set_once(&mut gate, place.wrapping_add_signed(i64::read(note.desc())))?;
                }
                NOTE_MANIFEST | NOTE_GATE => {
                    return Err(ImageError::Note("a Ringwall note has the wrong size"));
                }
                _ => return Err(ImageError::Note("there is a Ringwall note of unknown type")),
            }
        }
    }
    match (manifest, gate) {
        (Some(manifest), Some(gate)) => Ok(Notes { manifest, gate }),
        (None, None) => Err(ImageError::Note(
            "there is none: this is not a Ringwall appliance (build one with `ringwall build`)",
        )),
        (None, Some(_)) => Err(ImageError::Note("the manifest is missing")),
        (Some(_), None) => Err(ImageError::Note("the gate's place is missing")),
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), ImageError> {
    if slot.replace(value).is_some() {
        return Err(ImageError::Note("a Ringwall note occurs twice"));
    }
    Ok(())
}

/// Link-time address of a note's content. `content` is a part of `bytes`.
fn address_of(content: &[u8], bytes: &[u8], header: &Header) -> Result<u64, ImageError> {
    let offset = (content.as_ptr().addr() - bytes.as_ptr().addr()) as u64;
    offset
        .checked_sub(header.p_offset(LittleEndian))
        .and_then(|inside| header.p_vaddr(LittleEndian).checked_add(inside))
        .ok_or(ImageError::Note("the note segment's addresses wrap"))
}
