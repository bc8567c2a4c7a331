//! Interpreter, libraries, relocations, RELRO.

use super::Ending::{Refused, Survived};
use super::{Spoiled, hello, row};
use crate::ImageFile;
use crate::image_file::{Field, PT_DYNAMIC, PT_GNU_RELRO, PT_INTERP, PT_LOAD, PT_PHDR, PT_TLS};

const DT_NEEDED: u64 = 1;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_REL: u64 = 17;
const DT_DEBUG: u64 = 21;
const DT_TEXTREL: u64 = 22;
const DT_JMPREL: u64 = 23;
const READ_EXECUTE: Option<u32> = Some(5);

pub(super) fn all() -> Vec<Spoiled> {
    [foreign(), relocations(), relro()].concat()
}

fn foreign() -> Vec<Spoiled> {
    let tag = |value: u64| hello().with(hello().dynamic_entry(DT_DEBUG), &value.to_le_bytes());
    let rows = [
        (
            "interpreter",
            hello().with_header_type(PT_PHDR, PT_INTERP),
            "interpreter",
            "PT_INTERP asks for",
            Refused,
        ),
        (
            "thread-local storage",
            hello().with_header_type(PT_PHDR, PT_TLS),
            "loader",
            "thread-local",
            Refused,
        ),
        ("shared library", tag(DT_NEEDED), "shared-libraries", "1 DT_NEEDED", Refused),
        ("announced text relocations", tag(DT_TEXTREL), "relocations", "DT_TEXTREL", Refused),
        ("another relocation table", tag(DT_REL), "relocations", "DT_REL", Refused),
        ("lazy binding", tag(DT_JMPREL), "relocations", "DT_JMPREL", Refused),
    ];
    rows.into_iter().map(row).collect()
}

/// `hello` with one word of its first relocation changed. The table lies in the first segment, where file offsets are addresses.
fn first_relocation(word: usize, value: u64) -> ImageFile {
    let table = usize::try_from(hello().word(hello().dynamic_entry(DT_RELA) + 8)).expect("offsets fit");
    hello().with(table + word * 8, &value.to_le_bytes())
}

fn relocations() -> Vec<Spoiled> {
    let text = hello().header_field(PT_LOAD, READ_EXECUTE, Field::Address);
    let size = hello().dynamic_entry(DT_RELASZ) + 8;
    let rows = [
        ("text relocation", first_relocation(0, text), "relocations", "in the r-x segment", Refused),
        ("relocation of constants", first_relocation(0, 64), "relocations", "in the r-- segment", Refused),
        ("relocation of nothing", first_relocation(0, u64::MAX - 3), "relocations", "in no segment", Refused),
        ("absolute relocation", first_relocation(1, 1), "relocations", "first type 1 at", Refused),
        ("symbolic relocation", first_relocation(1, 1 << 32 | 6), "relocations", "first type 6 at", Refused),
        ("indirect function", first_relocation(1, 37), "relocations", "first type 37 at", Refused),
        (
            "relocations beyond the file",
            hello().with(size, &(24_u64 << 40).to_le_bytes()),
            "relocations",
            "outside the file",
            Refused,
        ),
    ];
    rows.into_iter().map(row).collect()
}

fn relro() -> Vec<Spoiled> {
    let end = hello().header_field(PT_GNU_RELRO, None, Field::MemorySize);
    let relro = |field, value: u64| hello().with_header(PT_GNU_RELRO, None, field, &value.to_le_bytes());
    let dynamic = hello().header_field(PT_DYNAMIC, None, Field::Address);
    let before = dynamic - hello().header_field(PT_GNU_RELRO, None, Field::Address);
    let rows = [
        ("no RELRO", hello().with_header_type(PT_GNU_RELRO, 0), "relro", "PT_GNU_RELRO is missing", Survived),
        (
            "RELRO elsewhere",
            relro(Field::Address, 0),
            "relro",
            "not the start of a writable segment",
            Refused,
        ),
        ("RELRO too long", relro(Field::MemorySize, end + 0x10_0000), "relro", "not the start", Refused),
        (
            "RELRO too short",
            relro(Field::MemorySize, before),
            "relro",
            "the dynamic section stays writable",
            Refused,
        ),
    ];
    rows.into_iter().map(row).collect()
}
