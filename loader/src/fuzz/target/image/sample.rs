//! A whole image, as small as can be: headers and notes, code with the gate, data with relocations.

use std::ops::Range;

use hvcall::note::{NOTE_GATE, NOTE_MANIFEST};
use hvcall::{Manifest, Wire as _};

/// An image file and where its parts lie.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) notes: Range<usize>,
    /// Dynamic section and relocation table.
    pub(super) dynamic: Range<usize>,
}

const NOTES: usize = 0x200;
/// Little code: the auditor decodes it again for each input.
const CODE: usize = GATE - 0x40;
const GATE: usize = 0x2000;
const DATA: usize = 0x3000;
const RELOCATIONS: usize = DATA + 0x80;
const RELOCATION_COUNT: usize = 4;
const END: usize = DATA + 0x400;

pub(super) fn file() -> File {
    with_code(DATA)
}

/// The same without a gate, so with less to decode: no image, but an ELF file whose other parts are right.
pub(super) fn without_gate() -> Vec<u8> {
    with_code(GATE).bytes
}

/// The file, whose executable segment ends at `code_end`.
fn with_code(code_end: usize) -> File {
    let mut bytes = vec![0; END];
    let notes = notes();
    bytes[NOTES..NOTES + notes.len()].copy_from_slice(&notes);
    let notes = NOTES..NOTES + notes.len();
    // `xor eax, eax; ret` over and over, then the gate.
    for code in bytes[CODE..GATE].chunks_mut(3) {
        code.copy_from_slice(&[0x31, 0xc0, 0xc3][..code.len()]);
    }
    bytes[GATE..DATA].copy_from_slice(&hvcall::gate::page());
    let headers: [[u64; 6]; 7] = [
        // type, flags, offset and address, length in the file and in memory, alignment
        [1, 4, 0, notes.end as u64, notes.end as u64, 4096],
        [1, 5, CODE as u64, (code_end - CODE) as u64, (code_end - CODE) as u64, 4096],
        [1, 6, DATA as u64, (END - DATA) as u64, 0x2000, 4096],
        [2, 6, DATA as u64, 0x60, 0x60, 8],
        [4, 4, notes.start as u64, notes.len() as u64, notes.len() as u64, 8],
        [0x6474_e551, 6, 0, 0, 0, 16],
        [0x6474_e552, 4, DATA as u64, 0x400, 0x1000, 1],
    ];
    let mut start = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 62, 0, 1, 0, 0, 0];
    for word in [CODE as u64, 64, 0] {
        start.extend(word.to_le_bytes());
    }
    start.extend([0, 0, 0, 0, 64, 0, 56, 0, 7, 0, 64, 0, 0, 0, 0, 0]);
    for [kind, flags, place, file_bytes, memory_bytes, alignment] in headers {
        start.extend((kind | flags << 32).to_le_bytes());
        for word in [place, place, place, file_bytes, memory_bytes, alignment] {
            start.extend(word.to_le_bytes());
        }
    }
    bytes[..start.len()].copy_from_slice(&start);
    let dynamic = [[7, RELOCATIONS as u64], [8, 24 * RELOCATION_COUNT as u64], [9, 24], [0, 0]];
    put(&mut bytes, DATA, dynamic.as_flattened());
    for position in 0..RELOCATION_COUNT {
        let target = (DATA + 0x200 + 8 * position) as u64;
        put(&mut bytes, RELOCATIONS + 24 * position, &[target, 8, CODE as u64]);
    }
    File { bytes, notes, dynamic: DATA..RELOCATIONS + 24 * RELOCATION_COUNT }
}

fn put(bytes: &mut [u8], at: usize, words: &[u64]) {
    for (place, word) in bytes[at..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn notes() -> Vec<u8> {
    let mut notes = Vec::new();
    let mut note = |kind: u32, content: &[u8]| {
        for word in [9, u32::try_from(content.len()).unwrap_or(0), kind] {
            notes.extend(word.to_le_bytes());
        }
        notes.extend(b"Ringwall\0\0\0\0");
        notes.extend(content);
        notes.len()
    };
    let mut manifest = vec![0; Manifest::SIZE_BYTES];
    Manifest::new("sample", "1", 1 << 20, 1 << 16, 0, &[], &[]).write(&mut manifest);
    let place = NOTES + note(NOTE_MANIFEST, &manifest) + 24;
    let distance = GATE as u64 - place as u64;
    note(NOTE_GATE, &distance.to_le_bytes());
    notes
}
