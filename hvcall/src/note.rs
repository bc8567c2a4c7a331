//! How an image carries the contract's data: two ELF notes of one name in a `PT_NOTE` segment.

use crate::{Manifest, Wire};

/// Section that both notes go to. Linkers give sections of this name prefix type `SHT_NOTE` and a `PT_NOTE` segment.
pub const NOTE_SECTION: &str = ".note.ringwall";
/// Name of the notes, without its NUL.
pub const NOTE_NAME: &str = "Ringwall";
/// Note type of the manifest. Its content is [`Manifest`].
pub const NOTE_MANIFEST: u32 = 1;
/// Note type of the gate's place. Its content is one `i64`: the gate page's address minus the address of that `i64`.
pub const NOTE_GATE: u32 = 2;

const NAME_BYTES: u32 = 9;

/// The manifest with its note header, ready to be placed in [`NOTE_SECTION`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ManifestNote {
    name_bytes: u32,
    content_bytes: u32,
    kind: u32,
    name: [u8; 12],
    content: Manifest,
}
static_assertions::const_assert_eq!(core::mem::offset_of!(ManifestNote, content), 24);
static_assertions::const_assert_eq!(size_of::<ManifestNote>(), 24 + Manifest::SIZE_BYTES);

impl ManifestNote {
    /// Wraps a manifest.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "616 bytes")]
    pub const fn new(content: Manifest) -> Self {
        Self {
            name_bytes: NAME_BYTES,
            content_bytes: Manifest::SIZE_BYTES as u32,
            kind: NOTE_MANIFEST,
            name: *b"Ringwall\0\0\0\0",
            content,
        }
    }

    /// What it wraps.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.content
    }
}
