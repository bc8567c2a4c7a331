//! Images: hostile files, read once, checked whole, before anything is built from them.
//!
//! [`Image::open`] reads the file into memory one time; everything else works on that copy. Parsing is done by the `object`
//! crate, the checks are here, and every loop runs over a table whose length was capped first.

mod error;
mod notes;
mod parse;
mod relocation;

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hvcall::Manifest;
use rustix::fs::OFlags;

pub use error::ImageError;
pub(crate) use notes::Notes;
pub use relocation::Relocation;

/// Largest image file.
pub const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Largest address range that an image's segments may span.
pub const MAX_SPAN_BYTES: u64 = 1 << 30;

/// What the guest may do with a page. There is no writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read.
    ReadOnly,
    /// Read and execute.
    ReadExecute,
    /// Read and write.
    ReadWrite,
}

/// A loadable segment: link-time addresses, which start near 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Content, as a range of the file. Shorter than `memory` where the rest is zero.
    pub file: Range<usize>,
    /// Addresses.
    pub memory: Range<u64>,
    /// Access.
    pub permission: Permission,
}

/// A checked image.
pub struct Image {
    bytes: Vec<u8>,
    /// Loadable segments, ascending, no two on one page.
    pub segments: Vec<Segment>,
    /// Addresses that become read-only after relocation, whole pages at the start of a writable segment. May be empty.
    pub relro: Range<u64>,
    /// First instruction, inside an executable segment's file content.
    pub entry: u64,
    /// The gate page, inside an executable segment.
    pub gate: u64,
    /// What the image declares.
    pub manifest: Manifest,
    relocations: Range<usize>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Image")
            .field("name", &self.manifest.name())
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Reads an image file, once.
///
/// # Errors
/// [`ImageError`] if it cannot be read, is no regular file, or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    let unreadable = |source| ImageError::Read { path: path.to_owned(), source };
    // A FIFO would keep the open waiting for a writer, and a terminal would become this program's.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ImageError::NotAFile { path: path.to_owned() });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(ImageError::TooLarge { size_bytes: metadata.len() });
    }
    let mut bytes = Vec::with_capacity(crate::address::index(metadata.len()));
    file.by_ref().take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

impl Image {
    /// Reads and checks an image file.
    ///
    /// # Errors
    /// [`ImageError`] naming the first property that does not hold.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        Self::parse(read(path)?)
    }

    /// Checks an image in memory.
    ///
    /// # Errors
    /// [`ImageError`] naming the first property that does not hold.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ImageError> {
        parse::parse(bytes)
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A segment's content.
    #[must_use]
    pub fn content(&self, segment: &Segment) -> &[u8] {
        &self.bytes[segment.file.clone()]
    }

    /// The relocations, in file order.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> {
        relocation::decode(&self.bytes[self.relocations.clone()])
    }

    /// First address after the image, a whole number of pages.
    #[must_use]
    pub fn span_bytes(&self) -> u64 {
        self.segments.last().and_then(|segment| crate::address::page_ceil(segment.memory.end)).unwrap_or(0)
    }
}

#[cfg(test)]
impl Image {
    /// An image that never was a file, for tests of what is made from images: segments of the given address, length and
    /// permission with recognisable content. The gate is the second page of the first executable one.
    pub(crate) fn sample(segments: &[(u64, u64, Permission)]) -> Self {
        let mut bytes = Vec::new();
        let segments: Vec<Segment> = segments
            .iter()
            .map(|&(address, len, permission)| {
                let file = bytes.len()..bytes.len() + crate::address::index(len);
                bytes.extend(file.clone().map(|at| u8::try_from(at % 251).unwrap_or(0) + 1));
                Segment { file, memory: address..address + len, permission }
            })
            .collect();
        let text = segments.iter().find(|segment| segment.permission == Permission::ReadExecute);
        let gate = text.map_or(0, |text| crate::address::page_floor(text.memory.start) + 4096);
        let manifest = Manifest::new("sample", "1", 1 << 20, 1 << 16, 0, &[], &[]);
        Self { bytes, segments, relro: 0..0, entry: gate, gate, manifest, relocations: 0..0 }
    }
}
