//! Any ELF file, as far as it can be read: what the strict parser would refuse is what an audit has to describe.

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, PT_DYNAMIC, PT_LOAD, SHT_SYMTAB};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};

use crate::address::index;

/// Most program headers that are looked at. An image has about a dozen; the core file of a large process has thousands.
const MAX_HEADERS: usize = 64;
/// Most entries of a dynamic section.
const MAX_DYNAMIC: usize = 4096;
/// `p_flags`.
pub(super) const EXECUTE: u32 = 1;
pub(super) const WRITE: u32 = 2;

/// A program header, of either class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_bytes: u64,
    pub(super) memory_bytes: u64,
}

impl Header {
    pub(super) const fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_bytes)
    }

    pub(super) const fn holds(&self, address: u64) -> bool {
        self.address <= address && address < self.end()
    }

    pub(super) const fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// `r-x` and the like.
    pub(super) fn rights(&self) -> String {
        [(4, 'r'), (WRITE, 'w'), (EXECUTE, 'x')]
            .iter()
            .map(|&(flag, letter)| if self.is(flag) { letter } else { '-' })
            .collect()
    }
}

/// What sections an ELF file has that no machine loads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sections {
    pub(super) count: usize,
    pub(super) symbols: u64,
}

/// An ELF file.
#[derive(Clone, Debug)]
pub(super) struct Elf<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) bits: u32,
    pub(super) little_endian: bool,
    pub(super) kind: u16,
    pub(super) machine: u16,
    pub(super) entry: u64,
    /// The first [`MAX_HEADERS`].
    pub(super) headers: Vec<Header>,
    pub(super) header_count: usize,
    pub(super) sections: Sections,
    /// Tag and value, without the end mark.
    pub(super) dynamic: Vec<(i64, u64)>,
    /// Tables that cannot be read.
    pub(super) damage: Vec<String>,
}

impl<'a> Elf<'a> {
    /// Reads what is there.
    ///
    /// # Errors
    /// Why the file is no ELF file at all.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        if !bytes.starts_with(b"\x7fELF") {
            let start: String =
                bytes.iter().take(16).map(|&byte| char::from(byte).escape_default().to_string()).collect();
            return Err(if bytes.is_empty() {
                "the file is empty".to_owned()
            } else {
                format!("it begins with \"{start}\"")
            });
        }
        match bytes.get(4) {
            Some(1) => Self::of_class::<FileHeader32<Endianness>>(bytes, 32),
            Some(2) => Self::of_class::<FileHeader64<Endianness>>(bytes, 64),
            class => Err(format!("class {} is neither 32-bit nor 64-bit", class.copied().unwrap_or(0))),
        }
    }

    fn of_class<H: FileHeader<Endian = Endianness>>(bytes: &'a [u8], bits: u32) -> Result<Self, String> {
        let header = H::parse(bytes).map_err(|error| error.to_string())?;
        let endian = header.endian().map_err(|error| error.to_string())?;
        let mut elf = Self {
            bytes,
            bits,
            little_endian: endian == Endianness::Little,
            kind: header.e_type(endian).0,
            machine: header.e_machine(endian).0,
            entry: header.e_entry(endian).into(),
            headers: Vec::new(),
            header_count: 0,
            sections: Sections::default(),
            dynamic: Vec::new(),
            damage: Vec::new(),
        };
        match header.program_headers(endian, bytes) {
            Ok(headers) => elf.take_headers::<H>(endian, headers),
            Err(error) => elf.damage.push(format!("program headers: {error}")),
        }
        match header.section_headers(endian, bytes) {
            Ok(sections) => {
                elf.sections.count = sections.len();
                let tables = sections.iter().filter(|section| section.sh_type(endian) == SHT_SYMTAB);
                elf.sections.symbols = tables
                    .map(|table| table.sh_size(endian).into() / symbol_bytes(bits))
                    .fold(0, u64::saturating_add);
            }
            Err(error) => elf.damage.push(format!("section headers: {error}")),
        }
        Ok(elf)
    }

    fn take_headers<H: FileHeader<Endian = Endianness>>(
        &mut self,
        endian: Endianness,
        headers: &[H::ProgramHeader],
    ) {
        self.header_count = headers.len();
        for header in headers.iter().take(MAX_HEADERS) {
            self.headers.push(Header {
                kind: header.p_type(endian).0,
                flags: header.p_flags(endian).0,
                offset: header.p_offset(endian).into(),
                address: header.p_vaddr(endian).into(),
                file_bytes: header.p_filesz(endian).into(),
                memory_bytes: header.p_memsz(endian).into(),
            });
            if header.p_type(endian) != PT_DYNAMIC {
                continue;
            }
            match header.dynamic(endian, self.bytes) {
                Ok(entries) => {
                    let entries = entries.unwrap_or_default().iter().take(MAX_DYNAMIC);
                    let entries = entries.map(|entry| (entry.tag(endian).0, entry.val(endian)));
                    self.dynamic.extend(entries.take_while(|&(tag, _)| tag != 0));
                }
                Err(error) => self.damage.push(format!("dynamic section: {error}")),
            }
        }
    }

    /// Headers of a type.
    pub(super) fn of_kind(&self, kind: u32) -> impl Iterator<Item = &Header> {
        self.headers.iter().filter(move |header| header.kind == kind)
    }

    /// Loadable segments.
    pub(super) fn loads(&self) -> impl Iterator<Item = &Header> {
        self.of_kind(PT_LOAD.0)
    }

    /// A segment's bytes in the file, as many as are there.
    pub(super) fn content(&self, header: &Header) -> &'a [u8] {
        let end = header
            .offset
            .saturating_add(header.file_bytes.min(header.memory_bytes))
            .min(self.bytes.len() as u64);
        self.bytes.get(index(header.offset.min(end))..index(end)).unwrap_or_default()
    }

    /// The file's bytes from an address on to the end of its segment.
    pub(super) fn at(&self, address: u64) -> &'a [u8] {
        let segment = self.loads().find(|header| header.holds(address));
        segment
            .and_then(|segment| self.content(segment).get(index(address - segment.address)..))
            .unwrap_or_default()
    }

    /// First value of a tag of the dynamic section.
    pub(super) fn dynamic_value(&self, tag: i64) -> Option<u64> {
        self.dynamic.iter().find(|(found, _)| *found == tag).map(|&(_, value)| value)
    }
}

const fn symbol_bytes(bits: u32) -> u64 {
    if bits == 32 { 16 } else { 24 }
}
