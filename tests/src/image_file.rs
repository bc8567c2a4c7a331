//! An image file as bytes, to be spoiled one field at a time.
//!
//! Offsets are those of the ELF specification ("Elf64_Ehdr", "Elf64_Phdr", "Elf64_Dyn"), written down anew: the loader's
//! parser is what is under test.

use crate::App;

/// Bytes of a program header.
const PROGRAM_HEADER_BYTES: usize = 56;

/// An image's bytes.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// The file.
    pub bytes: Vec<u8>,
}

impl ImageFile {
    /// The image of an appliance.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn of(app: App) -> Self {
        Self { bytes: std::fs::read(app.image()).expect("the image was just built") }
    }

    /// Overwrites bytes.
    ///
    /// # Panics
    /// If they lie outside the file.
    #[must_use]
    pub fn with(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.bytes[offset..][..bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Overwrites bytes of the first program header of a type and, where given, flags.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn with_header(self, kind: u32, flags: Option<u32>, field: Field, bytes: &[u8]) -> Self {
        let header = self.header(kind, flags);
        self.with(header + field as usize, bytes)
    }

    /// A field of the first program header of a type.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn header_field(&self, kind: u32, flags: Option<u32>, field: Field) -> u64 {
        self.word(self.header(kind, flags) + field as usize)
    }

    /// Changes the type of the first program header of a type.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn with_header_type(self, from: u32, to: u32) -> Self {
        self.with_header(from, None, Field::Type, &to.to_le_bytes())
    }

    /// File offset of an entry of the dynamic section.
    ///
    /// # Panics
    /// If there is none with that tag.
    #[must_use]
    pub fn dynamic_entry(&self, tag: u64) -> usize {
        let start = self.header_field(PT_DYNAMIC, None, Field::Offset);
        let size = self.header_field(PT_DYNAMIC, None, Field::FileSize);
        let mut entries = (start..start + size).step_by(16).map(index);
        entries.find(|&at| self.word(at) == tag).expect("the dynamic section has such an entry")
    }

    /// Overwrites the code at the entry point.
    ///
    /// # Panics
    /// If the entry point is in no executable segment.
    #[must_use]
    pub fn with_code_at_entry(self, code: &[u8]) -> Self {
        let field = |field| self.header_field(PT_LOAD, Some(5), field);
        let inside = self.word(0x18).checked_sub(field(Field::Address)).expect("the entry point is code");
        let offset = index(field(Field::Offset) + inside);
        self.with(offset, code)
    }

    /// File offset of a run of bytes that occurs once.
    ///
    /// # Panics
    /// If it does not occur exactly once.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> usize {
        let mut places = self.bytes.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes);
        let (place, _) = places.next().expect("the bytes occur");
        assert!(places.next().is_none(), "the bytes occur twice");
        place
    }

    /// The 64-bit word at an offset.
    ///
    /// # Panics
    /// If it lies outside the file.
    #[must_use]
    pub fn word(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.bytes[offset..][..8].try_into().expect("eight bytes"))
    }

    fn header(&self, kind: u32, flags: Option<u32>) -> usize {
        let first = index(self.word(0x20));
        let count = usize::from(self.bytes[0x38]);
        let mut headers = (0..count).map(|number| first + number * PROGRAM_HEADER_BYTES);
        let half = |at: usize| u32::from_le_bytes(self.bytes[at..][..4].try_into().expect("four bytes"));
        let matches = |at: &usize| half(*at) == kind && flags.is_none_or(|flags| half(at + 4) == flags);
        headers.find(matches).expect("the image has such a program header")
    }
}

/// Fields of a program header.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub enum Field {
    /// `p_type`, 4 bytes.
    Type = 0,
    /// `p_flags`, 4 bytes.
    Flags = 4,
    /// `p_offset`.
    Offset = 8,
    /// `p_vaddr`.
    Address = 16,
    /// `p_filesz`.
    FileSize = 32,
    /// `p_memsz`.
    MemorySize = 40,
}

/// Program header types.
pub const PT_LOAD: u32 = 1;
/// Dynamic section.
pub const PT_DYNAMIC: u32 = 2;
/// Place of the program headers: there and not needed, so that it can become something else.
pub const PT_PHDR: u32 = 6;
/// Interpreter.
pub const PT_INTERP: u32 = 3;
/// Notes.
pub const PT_NOTE: u32 = 4;
/// Thread-local storage.
pub const PT_TLS: u32 = 7;
/// Stack permissions.
pub const PT_GNU_STACK: u32 = 0x6474_e551;
/// Read-only after relocation.
pub const PT_GNU_RELRO: u32 = 0x6474_e552;

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("offsets fit")
}
