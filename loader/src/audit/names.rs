//! What a symbol side file knows: functions, their crates, the places of sections.

use std::collections::BTreeMap;
use std::ops::Range;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use super::report::CrateSize;
use crate::symbols::{build_id, resolve_in};

/// Most symbols that are looked at.
const MAX_SYMBOLS: usize = 1 << 20;

/// A function or static.
#[derive(Clone, Copy, Debug)]
struct Symbol<'a> {
    address: u64,
    size_bytes: u64,
    name: &'a str,
    is_code: bool,
}

/// A side file that pairs with the image. Without one, nothing has a name.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    file: Option<&'a [u8]>,
    /// Ascending, one for each address.
    symbols: Vec<Symbol<'a>>,
    /// Sections that are constant once relocated.
    pub(super) constant_sections: Vec<(String, Range<u64>)>,
}

impl<'a> Names<'a> {
    /// The names in `file`, if it is of the same build as `image`.
    pub(super) fn new(image: &[u8], file: Option<&'a [u8]>) -> Self {
        let pairs = |file: &&[u8]| matches!((build_id(image), build_id(file)), (Ok(Some(ours)), Ok(Some(theirs))) if ours == theirs);
        let Some(file) = file.filter(pairs) else { return Self::default() };
        let Ok(elf) = ElfFile64::<LittleEndian>::parse(file) else { return Self::default() };
        let mut symbols: Vec<Symbol<'_>> = elf
            .symbols()
            .take(MAX_SYMBOLS)
            .filter_map(|symbol| {
                let is_code = symbol.kind() == SymbolKind::Text;
                let wanted = symbol.is_definition() && (is_code || symbol.kind() == SymbolKind::Data);
                let name = symbol.name().ok().filter(|_| wanted)?;
                Some(Symbol { address: symbol.address(), size_bytes: symbol.size(), name, is_code })
            })
            .collect();
        symbols.sort_by_key(|symbol| (symbol.address, std::cmp::Reverse(symbol.size_bytes)));
        symbols.dedup_by_key(|symbol| symbol.address);
        let constant = |name: &str| {
            name.starts_with(".data.rel.ro") || matches!(name, ".got" | ".dynamic" | ".init_array")
        };
        let constant_sections = elf
            .sections()
            .take(MAX_SYMBOLS)
            .filter_map(|section| {
                let name = section.name().ok().filter(|name| constant(name))?;
                Some((name.to_owned(), section.address()..section.address().saturating_add(section.size())))
            })
            .collect();
        Self { file: Some(file), symbols, constant_sections }
    }

    /// The side file.
    pub(super) const fn file(&self) -> Option<&'a [u8]> {
        self.file
    }

    pub(super) const fn are_known(&self) -> bool {
        self.file.is_some()
    }

    /// Where functions begin, ascending.
    pub(super) fn starts(&self) -> impl Iterator<Item = u64> {
        self.symbols
            .iter()
            .filter(|symbol| symbol.is_code && symbol.size_bytes != 0)
            .map(|symbol| symbol.address)
    }

    /// The functions at an address, innermost first, by name and file.
    pub(super) fn chain(&self, address: u64) -> Vec<(String, String)> {
        let found = self.file.map(|file| resolve_in(file, &[address])).unwrap_or_default();
        let places = found.into_iter().flatten();
        places.map(|place| (place.function, place.file.unwrap_or_default())).collect()
    }

    /// ` in FUNCTION`, or nothing.
    pub(super) fn within(&self, address: u64) -> String {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let symbol = after.checked_sub(1).and_then(|at| self.symbols.get(at));
        let symbol =
            symbol.filter(|symbol| symbol.is_code && address - symbol.address < symbol.size_bytes.max(1));
        symbol.map(|symbol| format!(" in {}", readable(symbol.name))).unwrap_or_default()
    }

    /// Bytes by crate, most first.
    pub(super) fn crates(&self) -> Vec<CrateSize> {
        let mut sizes = BTreeMap::<String, (u64, u64)>::new();
        for symbol in &self.symbols {
            let (code, data) = sizes.entry(crate_of(symbol.name)).or_default();
            let kind = if symbol.is_code { code } else { data };
            *kind = kind.saturating_add(symbol.size_bytes);
        }
        let mut crates: Vec<CrateSize> = sizes
            .into_iter()
            .map(|(name, (code_bytes, data_bytes))| CrateSize { name, code_bytes, data_bytes })
            .collect();
        crates.sort_by_key(|part| std::cmp::Reverse(part.code_bytes.saturating_add(part.data_bytes)));
        crates
    }
}

/// A demangled name without control characters.
fn readable(name: &str) -> String {
    let demangled = format!("{:#}", rustc_demangle::demangle(name));
    demangled.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// The crate that a symbol belongs to: the first word of its path that is no parameter and no primitive type.
fn crate_of(name: &str) -> String {
    let Ok(demangled) = rustc_demangle::try_demangle(name) else {
        return "(C names and assembly)".to_owned();
    };
    let path = format!("{demangled:#}");
    let words = path.split(|character: char| !character.is_alphanumeric() && character != '_');
    let mut crates =
        words.filter(|word| word.starts_with(|first: char| first.is_lowercase() || first == '_'));
    crates.find(|word| !NO_CRATES.contains(word)).unwrap_or("(nameless)").to_owned()
}

/// Words that stand in front of a crate's name in paths such as `<u64 as core::fmt::Display>::fmt`.
const NO_CRATES: [&str; 23] = [
    "as", "bool", "char", "const", "dyn", "f32", "f64", "fn", "for", "i128", "i16", "i32", "i64", "i8",
    "isize", "mut", "str", "u128", "u16", "u32", "u64", "u8", "usize",
];

#[cfg(test)]
mod tests {
    use super::crate_of;

    #[test]
    fn crates_are_the_first_word_of_a_path() {
        for (name, wanted) in [
            ("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core"),
            (
                "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
                "alloc",
            ),
            ("_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "core"),
            (
                "_ZN4core3fmt3num3imp52_$LT$impl$u20$core..fmt..Display$u20$for$u20$u64$GT$3fmt17h0123456789abcdefE",
                "core",
            ),
            ("_ZN34_$LT$u64$u20$as$u20$web..Small$GT$3get17h0123456789abcdefE", "web"),
            ("memcpy", "(C names and assembly)"),
        ] {
            assert_eq!(crate_of(name), wanted);
        }
    }
}
