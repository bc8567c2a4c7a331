use std::fs;

use super::sample_elf::{FUNCTION, Sample};
use super::*;
use crate::build::seal;

/// An image and its side file in a folder of their own.
fn placed(image: &Sample, side_file: &Sample) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.img");
    fs::write(&path, seal(&image.bytes()).unwrap()).unwrap();
    fs::write(folder.path().join("sample.debug"), side_file.bytes()).unwrap();
    (folder, path)
}

#[test]
fn an_image_finds_the_side_file_of_its_own_build() {
    let (_folder, image) = placed(&Sample::default(), &Sample::default());
    let symbols = Symbols::for_image(&image).unwrap().unwrap();
    let (start, size, _) = FUNCTION;
    let found = symbols.resolve(&[start, start + size - 1, start + size, 0, u64::MAX]);
    let expected =
        Location { function: "crash::null_read".to_owned(), file: None, line: None, inlined: false };
    assert_eq!(found, [vec![expected.clone()], vec![expected], vec![], vec![], vec![]]);
}

#[test]
fn a_side_file_of_another_build_is_refused() {
    let other = Sample { build_id: Some([0xcd; 20]), ..Sample::default() };
    let (_folder, image) = placed(&Sample::default(), &other);
    let error = Symbols::for_image(&image).unwrap_err();
    let SymbolsError::Mismatch { wanted, found, .. } = &error else { panic!("{error}") };
    assert_eq!((wanted.as_str(), found.as_str()), ("ab".repeat(20).as_str(), "cd".repeat(20).as_str()));
}

#[test]
fn a_side_file_that_cannot_be_matched_is_refused() {
    let unmarked = Sample { build_id: None, ..Sample::default() };
    let (folder, image) = placed(&Sample::default(), &unmarked);
    assert!(matches!(Symbols::for_image(&image), Err(SymbolsError::NoBuildId { .. })));
    fs::write(folder.path().join("sample.debug"), b"no ELF").unwrap();
    assert!(matches!(Symbols::for_image(&image), Err(SymbolsError::Elf { .. })));
    fs::remove_file(folder.path().join("sample.debug")).unwrap();
    assert!(Symbols::for_image(&image).unwrap().is_none());
}

#[test]
fn a_backtrace_looks_return_addresses_up_before_their_call_ends() {
    let (_folder, image) = placed(&Sample::default(), &Sample::default());
    let symbols = Symbols::for_image(&image).unwrap().unwrap();
    let end = FUNCTION.0 + FUNCTION.1;
    // The same address is outside the function as an instruction, and inside as the return address of its last call.
    assert_eq!(
        format_backtrace(Some(&symbols), &[end, end, u64::MAX]),
        "  0: 0x0000000000001140 ?\n\
         \x20 1: 0x0000000000001140 crash::null_read\n\
         \x20 2: 0xffffffffffffffff ?\n"
    );
    assert_eq!(format_backtrace(None, &[0x10]), "  0: 0x0000000000000010 ?\n");
    assert_eq!(format_backtrace(None, &[]), "");
}

#[test]
fn a_recursion_is_one_line_and_a_count() {
    assert_eq!(
        format_backtrace(None, &[7, 7, 7, 7, 9]),
        "  0: 0x0000000000000007 ?\n\
         \x20 1: 0x0000000000000007 ?\n\
         \x20    the same 2 times more\n\
         \x20 4: 0x0000000000000009 ?\n"
    );
}

#[test]
fn line_tables_give_file_line_and_inlined_functions() {
    #[inline(always)]
    fn inner(value: u64) -> u64 {
        std::hint::black_box(value).wrapping_mul(3)
    }
    #[unsafe(no_mangle)]
    #[expect(
        unsafe_code,
        reason = "an exported name, to find the function in the test program's own symbol table"
    )]
    extern "C" fn ringwall_symbols_test_outer(value: u64) -> u64 {
        inner(value) + 1
    }
    let outer: extern "C" fn(u64) -> u64 = ringwall_symbols_test_outer;
    assert_eq!(std::hint::black_box(outer)(2), 7);

    let file = fs::read("/proc/self/exe").unwrap();
    let elf = object::read::elf::ElfFile64::<object::LittleEndian>::parse(file.as_slice()).unwrap();
    let symbol = object::Object::symbols(&elf)
        .find(|symbol| object::ObjectSymbol::name(symbol) == Ok("ringwall_symbols_test_outer"))
        .unwrap();
    let (start, size) = (object::ObjectSymbol::address(&symbol), object::ObjectSymbol::size(&symbol));
    let symbols = Symbols { file: file.clone() };
    let found = symbols.resolve(&(start..start + size).collect::<Vec<u64>>());
    let here = |location: &Location| location.file.as_deref().is_some_and(|file| file.ends_with(file!()));
    assert!(found.iter().all(|frames| frames.last().unwrap().function == "ringwall_symbols_test_outer"));
    // Nothing may be left of an optimised `inner` but what was inlined into it, further in.
    let through_inner = found
        .iter()
        .filter_map(|frames| frames.get(frames.len().checked_sub(2)?..))
        .find(|frames| frames[0].function.ends_with("inner"))
        .expect("an instruction of the inlined function");
    assert!(through_inner[0].inlined && here(&through_inner[0]), "{through_inner:?}");
    assert!(!through_inner[1].inlined && through_inner[1].line > through_inner[0].line);
}
