//! The image's own link: from one relocatable file to a static-PIE, with the functions in the order that a seed gives.
//!
//! Cargo has compiled and optimised everything together before ([`super::flags`]). What is left takes milliseconds, so an image
//! can have a new order without anything being compiled. The linker is the toolchain's own `rust-lld`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hvcall::note::{NOTE_MANIFEST, NOTE_NAME, NOTE_SECTION};
use hvcall::{Manifest, Wire as _};
use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::toolchain::Toolchain;
use super::{BuildError, SealError, file_error, order};

/// Flags of the link, each with what it is for.
pub(super) const FLAGS: [&str; 21] = [
    "-pie",                // movable ...
    "--no-dynamic-linker", // ... without an interpreter
    "-z",
    "text", // no relocation in text or constants
    "-z",
    "relro", // data that is constant after relocation becomes read-only ...
    "-z",
    "now", // ... all of it
    "-z",
    "noexecstack",
    "-z",
    "defs",             // a symbol that nothing defines, such as one of a C library, is an error
    "--gc-sections",    // what is not used is not in the image
    "--build-id=sha1",  // pairs image and side file
    "--hash-style=gnu", // one empty symbol table is enough
    "-O2",              // strings share their tails
    "--fatal-warnings",
    "-e_start",
    // Segments lie 64 KiB apart, so that unmapped pages separate them in the machine; in the file they follow each other without
    // padding, which costs nothing, because the loader maps no file page: it copies each segment's own bytes.
    "-z",
    "noseparate-code",
    "-zmax-page-size=65536",
];

/// What flags cannot say: the gate has the first page of the executable segment, and there are no unwind tables. Nothing unwinds; those
/// of the prebuilt `core` would be a good part of a small image. Backtraces follow frame pointers.
pub(super) const SCRIPT: &str = "\
SECTIONS { .ringwall.gate : { *(.ringwall.gate) } } INSERT BEFORE .text;
SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) } } INSERT AFTER .text;
";

/// Links `object` into `folder/NAME.PID.linked`, and returns that path. The file is the caller's to remove.
pub(super) fn link(
    toolchain: &Toolchain,
    object: &[u8],
    folder: &Path,
    bin: &str,
    seed: u64,
) -> Result<Linked, BuildError> {
    let object =
        with_seed(object, seed).map_err(|source| BuildError::Object { bin: bin.to_owned(), source })?;
    fs::create_dir_all(folder).map_err(file_error("create", folder))?;
    let file = |extension: &str| folder.join(format!("{bin}.{}.{extension}", std::process::id()));
    let scratch = [file("o"), file("ld")];
    let linked = Linked(file("linked"));
    for (path, content) in scratch.iter().zip([object.as_slice(), SCRIPT.as_bytes()]) {
        fs::write(path, content).map_err(file_error("write", path))?;
    }
    let mut command = Command::new(&toolchain.linker);
    command.args(["-flavor", "gnu"]).args(FLAGS).args(order::flags(seed));
    command.arg("-T").arg(&scratch[1]).arg("-o").arg(&linked.0).arg(&scratch[0]).stdin(Stdio::null());
    let status = command.status();
    for path in &scratch {
        // What is left of a link that is over; nothing depends on its going away.
        let _ = fs::remove_file(path);
    }
    match status {
        Ok(status) if status.success() => Ok(linked),
        Ok(_) => Err(BuildError::LinkFailed { bin: bin.to_owned() }),
        Err(source) => Err(BuildError::NoLinker {
            bin: bin.to_owned(),
            reason: format!("cannot start {}: {source}", toolchain.linker.display()),
        }),
    }
}

/// A linked file that goes away when it is no longer needed.
#[derive(Debug)]
pub(super) struct Linked(pub(super) PathBuf);

impl Drop for Linked {
    fn drop(&mut self) {
        // The image and the side file have been made, or never will be.
        let _ = fs::remove_file(&self.0);
    }
}

/// The object with the seed in its manifest, so that what is linked, and its build id, hold it.
fn with_seed(object: &[u8], seed: u64) -> Result<Vec<u8>, SealError> {
    let place = manifest_place(object).map_err(SealError::Elf)?.ok_or(SealError::NoManifest)?;
    let place = place + core::mem::offset_of!(Manifest, build_seed);
    let mut object = object.to_vec();
    object.get_mut(place..place + 8).ok_or(SealError::NoManifest)?.copy_from_slice(&seed.to_le_bytes());
    Ok(object)
}

/// Offset in the file of the manifest.
fn manifest_place(object: &[u8]) -> object::read::Result<Option<usize>> {
    let header = FileHeader64::<LittleEndian>::parse(object)?;
    let sections = header.sections(LittleEndian, object)?;
    for section in sections.iter() {
        if !sections.section_name(LittleEndian, section)?.starts_with(NOTE_SECTION.as_bytes()) {
            continue;
        }
        let Some(mut notes) = section.notes(LittleEndian, object)? else { continue };
        while let Some(note) = notes.next()? {
            let is_manifest =
                note.name() == NOTE_NAME.as_bytes() && note.n_type(LittleEndian).0 == NOTE_MANIFEST;
            if is_manifest && note.desc().len() == Manifest::SIZE_BYTES {
                return Ok(Some(note.desc().as_ptr().addr() - object.as_ptr().addr()));
            }
        }
    }
    Ok(None)
}
