//! Spoiled images: refused with exit code 65 and the reason, and never a crash of the loader.

use hvcall::gate::{GATE_BYTES, GATE_CODE};
use hvcall::{BootInfo, ExitCode};
use loader::image::Image;
use loader::layout::content::Content;
use loader::layout::{Gate, Plan};
use tests::image_file::{
    Field, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NOTE, PT_PHDR, PT_TLS,
};
use tests::{App, Backend, ImageFile, Ringwall, on_each_backend};

on_each_backend!(program_refuses_spoiled_files_in_one_line);

const SPARE: u32 = PT_PHDR;
const DT_DEBUG: u64 = 21;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const READ_EXECUTE: Option<u32> = Some(5);
const READ_WRITE: Option<u32> = Some(6);

fn hello() -> ImageFile {
    ImageFile::of(App::Hello)
}

/// Checks that the parser refuses each file, and why.
fn refused(cases: impl IntoIterator<Item = (ImageFile, &'static str)>) {
    for (number, (file, reason)) in cases.into_iter().enumerate() {
        let error = Image::parse(file.bytes).expect_err(reason);
        assert_eq!(error.exit_code(), ExitCode::BAD_IMAGE);
        let text = error.to_string();
        assert!(text.contains(reason), "case {number}: wanted {reason:?}, found {text:?}");
        assert!(!text.contains('\n'), "{text}");
    }
}

fn program_refuses_spoiled_files_in_one_line(backend: Backend) {
    let half = ImageFile { bytes: hello().bytes[..hello().bytes.len() / 2].to_vec() };
    let header = ImageFile { bytes: hello().bytes[..64].to_vec() };
    let folder = tempfile::tempdir().unwrap();
    for (name, file, reason) in [
        ("half", half, "segment at "),
        ("header", header, "not a readable ELF file"),
        ("type", hello().with(16, &[2]), "type is 0x2"),
        (
            "writable",
            hello().with_header(PT_LOAD, READ_EXECUTE, Field::Flags, &[7]),
            "writable and executable",
        ),
        ("entry", hello().with(24, &0_u64.to_le_bytes()), "entry point 0x0"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, file.bytes).unwrap();
        Ringwall::new().args(["run"]).image(backend, &path).run().expect(65).says_once(reason);
    }
}

#[test]
fn every_shorter_file_is_refused() {
    let bytes = hello().bytes;
    assert!(Image::parse(bytes.clone()).is_ok());
    for size_bytes in 0..bytes.len() {
        assert!(Image::parse(bytes[..size_bytes].to_vec()).is_err(), "{size_bytes} of {} bytes", bytes.len());
    }
}

#[test]
fn elf_header_must_be_that_of_a_static_pie() {
    let far = u64::MAX.to_le_bytes();
    refused([
        (hello().with(0, b"\x7fELG"), "not a readable ELF file"),
        (hello().with(4, &[1]), "not a readable ELF file"),
        (hello().with(5, &[2]), "byte order is 0x2"),
        (hello().with(16, &[2, 0]), "type is 0x2, expected 0x3"),
        (hello().with(18, &[3, 0]), "machine is 0x3"),
        (hello().with(32, &far), "not a readable ELF file"),
        (hello().with(54, &[57, 0]), "not a readable ELF file"),
        (hello().with(56, &[0, 0]), "0 loadable segments in 0 program headers"),
        (hello().with(56, &[65, 0]), "65 program headers"),
        (
            hello().with(24, &hello().header_field(PT_LOAD, READ_WRITE, Field::Address).to_le_bytes()),
            "entry point",
        ),
        (hello().with(24, &far), "entry point"),
    ]);
}

#[test]
fn segments_must_be_apart_inside_the_file_and_never_writable_and_executable() {
    let text = |field, bytes: &[u8]| hello().with_header(PT_LOAD, READ_EXECUTE, field, bytes);
    let far = u64::MAX.to_le_bytes();
    refused([
        (text(Field::Flags, &[7]), "permissions 0x7: writable and executable"),
        (text(Field::Flags, &[3]), "permissions 0x3: writable and executable"),
        (text(Field::Flags, &[1]), "permissions 0x1: writable and executable, or not readable"),
        (text(Field::Flags, &[0]), "permissions 0x0"),
        (text(Field::Flags, &[5, 0, 0, 0x10]), "permissions 0x10000005"),
        (text(Field::Address, &[0; 8]), "shares a page with an earlier segment"),
        (text(Field::Address, &far), "beyond 1 GiB"),
        (text(Field::MemorySize, &far), "beyond 1 GiB"),
        (text(Field::MemorySize, &[0; 8]), "it is empty"),
        (text(Field::MemorySize, &[1, 0, 0, 0, 0, 0, 0, 0]), "more bytes in the file than in memory"),
        (text(Field::Offset, &far), "outside the file"),
        (text(Field::Offset, &hello().bytes.len().to_le_bytes()), "outside the file"),
        (hello().with_header(PT_GNU_RELRO, None, Field::Address, &[1]), "read-only-after-relocation"),
        (hello().with_header(PT_GNU_RELRO, None, Field::MemorySize, &far), "read-only-after-relocation"),
        (hello().with_header(PT_GNU_RELRO, None, Field::MemorySize, &[1]), "read-only-after-relocation"),
    ]);
}

#[test]
fn ordinary_programs_executable_stacks_and_thread_locals_are_refused() {
    refused([
        (hello().with_header_type(SPARE, PT_INTERP), "asks for an interpreter"),
        (hello().with_header_type(SPARE, PT_TLS), "thread-local storage"),
        (hello().with_header(PT_GNU_STACK, None, Field::Flags, &[7]), "non-executable stack"),
        (hello().with_header_type(PT_GNU_STACK, SPARE), "non-executable stack"),
        (hello().with_header_type(SPARE, PT_GNU_STACK), "non-executable stack"),
    ]);
}

#[test]
fn gate_must_be_where_the_note_says_and_hold_exactly_the_gate() {
    let gate = hello().find(&[GATE_CODE.as_slice(), &[0xcc; 16]].concat());
    assert!(gate.is_multiple_of(GATE_BYTES));
    let reason = "with exactly the gate's content";
    let note = hello().find(b"\x09\0\0\0\x08\0\0\0\x02\0\0\0Ringwall\0") + 24;
    let page = |byte: usize, value| (hello().with(gate + byte, &[value]), reason);
    let moved = |by: u64| (hello().with(note, &hello().word(note).wrapping_add(by).to_le_bytes()), reason);
    refused([
        page(2, 0xd9),
        page(4, 0x90),
        page(GATE_BYTES - 1, 0x90),
        moved(1),
        moved(4096),
        moved(1 << 63),
    ]);
}

#[test]
fn notes_must_be_there_once_and_well_formed() {
    let offset = hello().header_field(PT_NOTE, None, Field::Offset).to_le_bytes();
    let size = hello().header_field(PT_NOTE, None, Field::FileSize).to_le_bytes();
    let twice = hello()
        .with_header(SPARE, None, Field::Offset, &offset)
        .with_header(SPARE, None, Field::FileSize, &size)
        .with_header_type(SPARE, PT_NOTE);
    let manifest = manifest();
    refused([
        (twice, "occurs twice"),
        (hello().with_header_type(PT_NOTE, 0x6fff_ffff), "this is not a Ringwall appliance"),
        (hello().with(manifest - 20, &[100]), "image note: a Ringwall note has the wrong size"),
        (hello().with(manifest - 16, &[7]), "a Ringwall note of unknown type"),
        (hello().with_header(PT_NOTE, None, Field::FileSize, &[8]), "not a readable ELF file"),
    ]);
}

/// File offset of the manifest. Its name field is 40 bytes behind its start.
fn manifest() -> usize {
    hello().find(b"hello\0\0\0\0\0\0\0\0\0\0\0") - 40
}

#[test]
fn manifest_must_speak_this_contract() {
    let at = manifest();
    refused([
        (hello().with(at, &[2]), "image speaks ABI version 2, this loader speaks 1"),
        (hello().with(at + 4, &[17]), "17 devices"),
        (hello().with(at + 8, &[1]), "unknown feature bits 0x1"),
        (hello().with(at + 16, &[0; 8]), "0 bytes of memory"),
        (hello().with(at + 16, &[1]), "not whole pages"),
        (hello().with(at + 24, &[1]), "bytes of stack"),
        (hello().with(at + 40, b"\n"), "not printable ASCII"),
        (hello().with(at + 104, &[1]), "device entry 0 is malformed"),
        (hello().with(at + 4, &[1]), "device entry 0 is malformed"),
    ]);
}

#[test]
fn relocations_must_be_relative_and_stay_in_data() {
    let entry = |tag| hello().dynamic_entry(tag);
    let word = |value: u64| value.to_le_bytes();
    // The table lies in the first segment, where file offsets are addresses.
    let table = usize::try_from(hello().word(entry(DT_RELA) + 8)).unwrap();
    let text = word(hello().header_field(PT_LOAD, READ_EXECUTE, Field::Address));
    let tag = |value: u64| hello().with(entry(DT_DEBUG), &word(value));
    refused([
        (tag(1), "it needs a shared library"),
        (tag(22), "relocations in read-only memory"),
        (tag(17), "unknown kind of relocation table"),
        (tag(23), "unknown kind of relocation table"),
        (tag(36), "unknown kind of relocation table"),
        (hello().with(entry(DT_RELASZ) + 8, &word(25)), "wrong entry size"),
        (hello().with(entry(DT_RELASZ) + 8, &word(24 << 40)), "outside the image"),
        (hello().with(entry(DT_RELA) + 8, &word(u64::MAX)), "outside the image"),
        (hello().with(table + 8, &word(6)), "it is not R_X86_64_RELATIVE"),
        (hello().with(table + 8, &word(1 << 32 | 8)), "it is not R_X86_64_RELATIVE"),
        (hello().with(table, &text), "it changes memory that is not initialised, writable data"),
        (hello().with(table, &word(u64::MAX - 3)), "it changes memory"),
        (hello().with(table + 16, &word(1 << 40)), "it points outside the image"),
        (hello().with_header(PT_DYNAMIC, None, Field::Offset, &word(u64::MAX)), "not a readable ELF file"),
    ]);
}

/// Whatever the bytes that describe the image say: it is refused, or it can be laid out.
#[test]
fn no_changed_byte_crashes_the_parser_or_the_layout() {
    let original = hello().bytes;
    let text = usize::try_from(hello().header_field(PT_LOAD, READ_EXECUTE, Field::Offset)).unwrap();
    let dynamic = usize::try_from(hello().header_field(PT_DYNAMIC, None, Field::Offset)).unwrap();
    let mut random = 0;
    for at in (0..text).chain(dynamic..dynamic + 0xd0) {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = original.clone();
            bytes[at] ^= change;
            let Ok(image) = Image::parse(bytes) else { continue };
            let mut numbers = || {
                random += 1;
                Ok((1 << 46) / 100 * random)
            };
            let memory_bytes = image.manifest.memory_bytes.min(64 << 20) & !0xfff;
            if let Ok(plan) = Plan::new(&image, memory_bytes, &mut numbers) {
                let _ = Content::new(&image, &plan, &Gate::PORT, &BootInfo::default(), &[]);
            }
            random = 0;
        }
    }
}
