//! Manifest and gate.

use hvcall::gate::{GATE_BYTES, GATE_CODE};

use super::Ending::{Refused, Survived};
use super::{Spoiled, hello, row};
use crate::image_file::{Field, PT_NOTE, PT_PHDR};

pub(super) fn all() -> Vec<Spoiled> {
    [manifest(), gate()].concat()
}

fn manifest() -> Vec<Spoiled> {
    // The name field is 40 bytes behind the manifest's start.
    let at = hello().find(b"hello\0\0\0\0\0\0\0\0\0\0\0") - 40;
    let offset = hello().header_field(PT_NOTE, None, Field::Offset).to_le_bytes();
    let size = hello().header_field(PT_NOTE, None, Field::FileSize).to_le_bytes();
    let twice = hello()
        .with_header(PT_PHDR, None, Field::Offset, &offset)
        .with_header(PT_PHDR, None, Field::FileSize, &size)
        .with_header_type(PT_PHDR, PT_NOTE);
    let rows = [
        (
            "no notes",
            hello().with_header_type(PT_NOTE, 0x6fff_ffff),
            "manifest",
            "not a Ringwall appliance",
            Refused,
        ),
        ("manifest twice", twice, "manifest", "occurs twice", Refused),
        ("another contract", hello().with(at, &[2]), "manifest", "ABI version 2", Refused),
        ("unknown feature", hello().with(at + 8, &[1]), "manifest", "unknown feature bits", Refused),
        ("no memory", hello().with(at + 16, &[0; 8]), "manifest", "0 bytes of memory", Refused),
        ("half a page of stack", hello().with(at + 24, &[1]), "manifest", "bytes of stack", Refused),
        ("order of the compiler", hello().with(at + 32, &[0; 8]), "function-order", "seed 0", Survived),
        ("name with a line end", hello().with(at + 40, b"\n"), "manifest", "not printable ASCII", Refused),
        ("seventeen devices", hello().with(at + 4, &[17]), "devices", "without a sane manifest", Refused),
        ("undeclared device", hello().with(at + 104, &[1]), "devices", "without a sane manifest", Refused),
    ];
    rows.into_iter().map(row).collect()
}

fn gate() -> Vec<Spoiled> {
    let gate = hello().find(&[GATE_CODE.as_slice(), &[0xcc; 16]].concat());
    let note = hello().find(b"\x09\0\0\0\x08\0\0\0\x02\0\0\0Ringwall\0") + 24;
    let moved = |by: u64| hello().with(note, &hello().word(note).wrapping_add(by).to_le_bytes());
    let rows = [
        ("another gate", hello().with(gate + 2, &[0xd9]), "gate", "byte 2 of the page", Refused),
        ("no trap in the gate", hello().with(gate, &[0x90; 3]), "trap-site", "no vmcall", Refused),
        ("gate without return", hello().with(gate + 3, &[0x90]), "gate", "byte 3 of the page", Refused),
        ("code behind the gate", hello().with(gate + GATE_BYTES - 1, &[0x90]), "gate", "byte 4095", Refused),
        (
            "call in the gate's padding",
            hello().with(gate + 64, &GATE_CODE),
            "trap-site",
            "2 instructions",
            Refused,
        ),
        ("gate inside a page", moved(4), "gate", "not the start of a page", Refused),
        ("gate in ordinary code", moved(4096), "trap-site", "which is not the gate", Refused),
        ("gate nowhere", moved(1 << 62), "gate", "outside every segment", Refused),
    ];
    rows.into_iter().map(row).collect()
}
