//! Header, segments, entry, stack, symbols.

use super::Ending::{Refused, Survived};
use super::{Spoiled, hello, row};
use crate::image_file::{Field, PT_GNU_STACK, PT_LOAD, PT_PHDR};
use crate::{App, ImageFile};

const READ_ONLY: Option<u32> = Some(4);
const READ_EXECUTE: Option<u32> = Some(5);
const READ_WRITE: Option<u32> = Some(6);
const SPARE: u32 = 0x6fff_fff0;

pub(super) fn all() -> Vec<Spoiled> {
    [header(), segments(), entry(), rest()].concat()
}

fn header() -> Vec<Spoiled> {
    let rows = [
        ("fixed addresses", hello().with(16, &[2]), "elf-header", "a program at fixed addresses", Refused),
        ("object file", hello().with(16, &[1]), "elf-header", "never linked", Refused),
        ("core dump", hello().with(16, &[4]), "elf-header", "a core dump", Refused),
        ("80386", hello().with(18, &[3]), "elf-header", "80386", Refused),
        ("aarch64", hello().with(18, &[0xb7]), "instructions", "the machine is not x86", Refused),
        ("32-bit class", hello().with(4, &[1]), "elf-header", "32-bit", Refused),
        ("big-endian", hello().with(5, &[2]), "elf-header", "", Refused),
        ("no program headers", hello().with(56, &[0]), "segments", "no loadable segment", Refused),
    ];
    rows.into_iter().map(row).collect()
}

fn segments() -> Vec<Spoiled> {
    let text = |field, bytes: &[u8]| hello().with_header(PT_LOAD, READ_EXECUTE, field, bytes);
    let data = |field, bytes: &[u8]| hello().with_header(PT_LOAD, READ_WRITE, field, bytes);
    let far = u64::MAX.to_le_bytes();
    let rows = [
        ("writable text", text(Field::Flags, &[7]), "write-xor-execute", "writable and executable", Refused),
        (
            "executable data",
            data(Field::Flags, &[7]),
            "write-xor-execute",
            "writable and executable",
            Refused,
        ),
        ("no executable segment", text(Field::Flags, &[4]), "write-xor-execute", "no executable", Refused),
        ("execute-only text", text(Field::Flags, &[1]), "loader", "or not readable", Refused),
        ("overlapping segments", text(Field::Address, &[0; 8]), "segments", "shares a page", Refused),
        ("segment at the end of memory", text(Field::Address, &far), "segments", "beyond 1 GiB", Refused),
        ("segment beyond the file", text(Field::Offset, &far), "segments", "outside the file", Refused),
        ("empty segment", text(Field::MemorySize, &[0; 8]), "segments", "is empty", Refused),
        (
            "more file than memory",
            data(Field::MemorySize, &[1, 0]),
            "segments",
            "more bytes in the file",
            Refused,
        ),
    ];
    rows.into_iter().map(row).collect()
}

fn entry() -> Vec<Spoiled> {
    let at = |entry: u64| hello().with(24, &entry.to_le_bytes());
    let start_of = |flags| hello().header_field(PT_LOAD, flags, Field::Address);
    let entry = hello().word(24);
    let rows = [
        ("entry in data", at(start_of(READ_WRITE)), "entry", "in the rw- segment", Refused),
        ("entry in constants", at(start_of(READ_ONLY)), "entry", "in the r-- segment", Refused),
        ("entry nowhere", at(u64::MAX), "entry", "outside every segment", Refused),
        // It begins with `push rbp; mov rbp, rsp`: 1 and 3 bytes.
        ("entry in an instruction", at(entry + 2), "entry", "in the middle of an instruction", Survived),
    ];
    rows.into_iter().map(row).collect()
}

fn rest() -> Vec<Spoiled> {
    let linked = ImageFile { bytes: std::fs::read(App::Hello.symbols()).expect("the image was just built") };
    let mut longer = hello();
    longer.bytes.extend(b"and more");
    let again = hello().with_header_type(PT_PHDR, PT_GNU_STACK);
    let rows = [
        (
            "executable stack",
            hello().with_header(PT_GNU_STACK, None, Field::Flags, &[7]),
            "stack",
            "asks for an executable stack",
            Refused,
        ),
        (
            "no word on the stack",
            hello().with_header_type(PT_GNU_STACK, SPARE),
            "stack",
            "is missing",
            Refused,
        ),
        ("two words on the stack", again, "stack", "2 times PT_GNU_STACK", Refused),
        ("symbols left in", linked, "symbols", " symbols in ", Survived),
        ("bytes behind the end", longer, "symbols", "8 bytes behind the last segment", Survived),
    ];
    rows.into_iter().map(row).collect()
}
