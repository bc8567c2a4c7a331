//! Looking addresses up in DWARF line tables and the symbol table.

use addr2line::gimli::{self, EndianSlice, LittleEndian as DwarfEndian};
use addr2line::{Context, Frame};
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection, ObjectSegment, SymbolMap, SymbolMapName};

use super::Location;

pub(crate) type Reader<'file> = EndianSlice<'file, DwarfEndian>;

/// Everything known about each address. A file whose debug data is damaged still gives the names of its symbol table.
pub(crate) fn resolve(file: &[u8], addresses: &[u64]) -> Vec<Vec<Location>> {
    let Ok(elf) = ElfFile64::<LittleEndian>::parse(file) else {
        return vec![Vec::new(); addresses.len()];
    };
    let symbols = elf.symbol_map();
    let context = context(&elf);
    let end = end_of_image(&elf);
    let lookup = |&address| {
        if address < end { locations(context.as_ref(), &symbols, address) } else { Vec::new() }
    };
    addresses.iter().map(lookup).collect()
}

/// First address behind everything that is loaded, capped well below where address arithmetic could wrap: addr2line adds
/// to the addresses it is given, and a guest chooses them.
fn end_of_image(elf: &ElfFile64<'_, LittleEndian>) -> u64 {
    const HIGHEST: u64 = 1 << 47;
    let ends = elf.segments().map(|segment| segment.address().saturating_add(segment.size()));
    ends.max().unwrap_or(0).min(HIGHEST)
}

fn context<'file>(elf: &ElfFile64<'file, LittleEndian>) -> Option<Context<Reader<'file>>> {
    Context::from_dwarf(dwarf(elf)?).ok()
}

/// The debug data of an ELF file.
pub(crate) fn dwarf<'file>(elf: &ElfFile64<'file, LittleEndian>) -> Option<gimli::Dwarf<Reader<'file>>> {
    let section = |id: gimli::SectionId| {
        // `ringwall build` never compresses debug sections; a compressed one would be read as garbage, so leave it out.
        let section =
            elf.section_by_name(id.name()).filter(|section| section.compressed_file_range().is_ok());
        let data = section.and_then(|section| section.data().ok()).unwrap_or_default();
        Ok::<_, gimli::Error>(EndianSlice::new(data, DwarfEndian))
    };
    gimli::Dwarf::load(section).ok()
}

fn locations(
    context: Option<&Context<Reader<'_>>>,
    symbols: &SymbolMap<SymbolMapName<'_>>,
    address: u64,
) -> Vec<Location> {
    let mut locations = context.map(|context| dwarf_locations(context, address)).unwrap_or_default();
    // Line tables alone do not name every function. The symbol table does, and with the full path.
    let symbol = symbols.containing(address).filter(|symbol| is_near(symbol, address));
    let symbol = symbol.map(|symbol| demangle(symbol.name()));
    match (locations.last_mut(), symbol) {
        (Some(outermost), Some(name)) => outermost.function = name,
        (None, Some(function)) => {
            locations.push(Location { function, file: None, line: None, inlined: false });
        }
        (_, None) => {}
    }
    locations
}

/// A label in assembly has no size and would claim everything behind it; believe it for one page.
fn is_near(symbol: &SymbolMapName<'_>, address: u64) -> bool {
    symbol.size() != 0 || address - symbol.address() < 4096
}

fn dwarf_locations(context: &Context<Reader<'_>>, address: u64) -> Vec<Location> {
    let mut locations = Vec::new();
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return locations };
    // An error in the middle keeps what was found before it.
    while let Ok(Some(frame)) = frames.next() {
        locations.push(location(&frame));
    }
    let outermost = locations.len().saturating_sub(1);
    for location in locations.iter_mut().take(outermost) {
        location.inlined = true;
    }
    locations
}

fn location(frame: &Frame<'_, Reader<'_>>) -> Location {
    let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
    let place = frame.location.as_ref();
    Location {
        function: name.map_or_else(|| "?".to_owned(), |name| demangle(&name)),
        file: place.and_then(|place| place.file).map(|file| printable(without_compiler_hash(file))),
        line: place.and_then(|place| place.line),
        inlined: false,
    }
}

/// `/rustc/HASH/library/core/src/...` is Rust's own library: the hash says nothing to a reader.
fn without_compiler_hash(file: &str) -> &str {
    file.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/')).map_or(file, |(_hash, rest)| rest)
}

fn demangle(name: &str) -> String {
    printable(&format!("{:#}", rustc_demangle::demangle(name)))
}

fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}
