//! The rest of section 4: interpreters, relocations, stacks, notes and manifests, one by one; and the builder.

use std::path::Path;

use ::tests::image_file::{Field, PT_NOTE};
use ::tests::{App, ImageFile, Ringwall, spoiled};

use super::files::in_one_line;
use crate::case::{Case, Got, all, case, nowhere};
use crate::host::Host;

const NO_LAB: &str = "the loader refuses before it has asked the host for anything";
const REFUSED: &[&str] = &["exit 65, one line"];

/// Images that other tests make, too, by their names there.
const SPOILED: &[(u32, &str)] = &[
    (185, "interpreter"),
    (186, "shared library"),
    (186, "text relocation"),
    (186, "relocation of constants"),
    (186, "relocation of nothing"),
    (186, "absolute relocation"),
    (186, "symbolic relocation"),
    (186, "indirect function"),
    (186, "relocations beyond the file"),
    (186, "announced text relocations"),
    (186, "another relocation table"),
    (186, "lazy binding"),
    (188, "executable stack"),
    (188, "no word on the stack"),
    (188, "two words on the stack"),
    (189, "thread-local storage"),
    (191, "no notes"),
    (191, "manifest twice"),
    (191, "another contract"),
    (192, "unknown feature"),
    (192, "no memory"),
    (192, "half a page of stack"),
    (192, "name with a line end"),
    (192, "seventeen devices"),
    (192, "undeclared device"),
];

/// Bytes at an offset of the first note, whose header is three words: sizes of name and description, type (ELF, "Note Section").
const NOTES: &[(&str, usize, &[u8])] = &[
    ("note-with-a-name-of-4-gib", 0, &[0xff; 4]),
    ("note-with-a-name-that-wraps-when-padded", 0, &[0xfd, 0xff, 0xff, 0xff]),
    ("note-with-a-description-of-4-gib", 4, &[0xff; 4]),
    ("note-with-a-description-that-wraps-when-padded", 4, &[0xfd, 0xff, 0xff, 0xff]),
    ("note-with-both-of-4-gib", 0, &[0xff; 8]),
    ("note-without-a-name", 0, &[0; 4]),
    ("note-of-somebody-else", 12, b"Solo5"),
];

/// Bytes at an offset of the manifest of `disk`, whose only device begins at 104: kind, 0, name.
const MANIFEST: &[(&str, usize, &[u8])] = &[
    ("device-of-unknown-kind", 104, &[3, 0, 0, 0]),
    ("device-of-kind-0", 104, &[0, 0, 0, 0]),
    ("device-with-reserved-bits", 108, &[0, 0, 0, 0x80]),
    ("device-without-a-name", 112, &[0; 24]),
    ("device-with-a-path-for-a-name", 112, b"../disk"),
    ("device-whose-name-goes-on-behind-its-end", 112, b"a\0b"),
    ("device-of-two-that-has-no-declaration", 4, &[2]),
    ("memory-of-2-to-63", 16, &[0, 0, 0, 0, 0, 0, 0, 0x80]),
    ("stack-of-2-to-63", 24, &[0, 0, 0, 0, 0, 0, 0, 0x80]),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let expected = all(REFUSED).not_lab(NO_LAB);
    let of_spoiled = |&(row, name): &(u32, &'static str)| {
        case(row, &name.replace(' ', "-"), expected, move |host| {
            let image = spoiled::all().into_iter().find(|image| image.name == name);
            refused(host, &image.ok_or("no such image")?.file)
        })
    };
    let of_note = |&(name, offset, bytes): &(&'static str, usize, &'static [u8])| {
        case(191, name, expected, move |host| {
            let file = ImageFile::of(App::Hello);
            let notes = usize::try_from(file.header_field(PT_NOTE, None, Field::Offset));
            refused(host, &file.with(notes.map_err(|error| error.to_string())? + offset, bytes))
        })
    };
    let of_manifest = |&(name, offset, bytes): &(&'static str, usize, &'static [u8])| {
        case(192, name, expected, move |host| {
            let file = ImageFile::of(App::Disk);
            let start = file.find(b"disk\0\0\0\0\0\0\0\0\0\0\0\0") - 40;
            refused(host, &file.with(start + offset, bytes))
        })
    };
    let mut cases: Vec<Case> = SPOILED.iter().map(of_spoiled).collect();
    cases.extend(NOTES.iter().map(of_note));
    cases.extend(MANIFEST.iter().map(of_manifest));
    cases.push(case(192, "two-devices-of-one-name", expected, |host| {
        let file = ImageFile::of(App::Adversary);
        let start = file.find(b"adversary\0\0\0\0\0\0\0") - 40;
        refused(host, &file.with(start + 144, b"net\0"))
    }));
    cases.push(case(
        203,
        "two-builds-are-the-same-bytes",
        nowhere("it builds for minutes: `the_same_seed_gives_the_same_files_anywhere_and_another_one_other_neighbours` does"),
        |_| Err("not here".to_owned()),
    ));
    cases.push(case(
        204,
        "links-in-the-paths-of-assets",
        nowhere("an image holds code and its constants: the builder takes no files to put into it"),
        |_| Err("not here".to_owned()),
    ));
    cases
}

fn refused(host: Host, file: &ImageFile) -> Got {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("x.img");
    std::fs::write(&path, &file.bytes).map_err(|error| error.to_string())?;
    in_one_line(&run(host, &path))
}

fn run(host: Host, path: &Path) -> ::tests::Run {
    Ringwall::new().args(["run", "--time-limit", "20"]).image(host.backend(), path).run()
}
