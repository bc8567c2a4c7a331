//! Small ELF files for tests, made by the `object` crate.

use hvcall::manifest::Manifest;
use hvcall::note::{NOTE_MANIFEST, NOTE_NAME};
use hvcall::wire::Wire;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Writer};

/// Where the loadable bytes of the sample end.
pub(crate) const LOADABLE_BYTES: u64 = 0x1800;
/// The sample's only function: address, length, and name as in its symbol table.
pub(crate) const FUNCTION: (u64, u64, &[u8]) = (0x1100, 0x40, b"_ZN5crash9null_read17h0123456789abcdefE");

/// What a test may change.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) kind: elf::FileType,
    pub(crate) entry: u64,
    pub(crate) build_id: Option<[u8; 20]>,
    pub(crate) manifest: bool,
    pub(crate) interpreter: bool,
    /// File content that the last `PT_LOAD` claims.
    pub(crate) loaded_bytes: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            kind: elf::ET_DYN,
            entry: FUNCTION.0,
            build_id: Some([0xab; 20]),
            manifest: true,
            interpreter: false,
            loaded_bytes: LOADABLE_BYTES - 0x1000,
        }
    }
}

impl Sample {
    /// A linked file: headers and notes in one segment, text in another, then a symbol table that nothing loads.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(object::Endianness::Little, true, &mut bytes);
        writer.reserve_file_header();
        writer.reserve_program_headers(4);
        writer.reserve_until(LOADABLE_BYTES);
        let function = writer.add_string(FUNCTION.2);
        let text = writer.add_section_name(b".text");
        let text_index = writer.reserve_section_index();
        writer.reserve_symtab_section_index();
        writer.reserve_strtab_section_index();
        writer.reserve_shstrtab_section_index();
        writer.reserve_null_symbol_index();
        writer.reserve_symbol_index(Some(text_index));
        writer.reserve_symtab();
        writer.reserve_strtab().unwrap();
        writer.reserve_shstrtab().unwrap();
        writer.reserve_section_headers();

        let header = FileHeader {
            os_abi: elf::ELFOSABI_SYSV,
            abi_version: 0,
            e_type: self.kind,
            e_machine: elf::EM_X86_64,
            e_entry: self.entry,
            e_flags: elf::FileFlags(0),
        };
        writer.write_file_header(&header).unwrap();
        self.write_loadable(&mut writer);
        Self::write_symbols(&mut writer, function, text_index.0);
        Self::write_sections(&mut writer, text);
        bytes
    }

    fn write_loadable(&self, writer: &mut Writer<'_>) {
        let notes = self.notes();
        let segment = |p_type, p_flags, p_offset, size: u64| ProgramHeader {
            p_type,
            p_flags,
            p_offset,
            p_vaddr: p_offset,
            p_paddr: p_offset,
            p_filesz: size,
            p_memsz: size,
            p_align: if p_type == elf::PT_LOAD { 4096 } else { 4 },
        };
        writer.write_align_program_headers();
        writer.write_program_header(&segment(elf::PT_LOAD, elf::PF_R, 0, 0x1000));
        writer.write_program_header(&segment(elf::PT_LOAD, elf::PF_R | elf::PF_X, 0x1000, self.loaded_bytes));
        writer.write_program_header(&segment(elf::PT_NOTE, elf::PF_R, 0x200, notes.len() as u64));
        let last = if self.interpreter { elf::PT_INTERP } else { elf::PT_NULL };
        writer.write_program_header(&segment(last, elf::PF_R, 0x180, 8));
        writer.pad_until(0x200);
        writer.write(&notes);
        writer.pad_until(LOADABLE_BYTES);
    }

    fn notes(&self) -> Vec<u8> {
        let mut notes = Vec::new();
        if let Some(id) = self.build_id {
            notes.extend(note(b"GNU\0", 3, &id));
        }
        if self.manifest {
            let manifest = Manifest::new("sample", "1", 1 << 20, 1 << 16, 0, &[], &[]);
            let mut content = [0; Manifest::SIZE_BYTES];
            manifest.write(&mut content);
            notes.extend(note(format!("{NOTE_NAME}\0").as_bytes(), NOTE_MANIFEST, &content));
        }
        notes
    }

    fn write_symbols(writer: &mut Writer<'_>, name: StringId, text_index: u32) {
        writer.write_null_symbol();
        let st_name = writer.string_offset(Some(name));
        writer.write_symbol(&Sym {
            section: Some(text_index),
            st_name,
            st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, elf::STT_FUNC),
            st_other: elf::SymbolOther(0),
            st_shndx: elf::SymbolSection(0),
            st_value: FUNCTION.0,
            st_size: FUNCTION.1,
        });
        writer.write_strtab();
        writer.write_shstrtab();
    }

    fn write_sections(writer: &mut Writer<'_>, text: StringId) {
        writer.write_null_section_header();
        let sh_name = writer.section_name_offset(Some(text));
        writer.write_section_header(&SectionHeader {
            sh_name,
            sh_type: elf::SHT_PROGBITS,
            sh_flags: elf::SHF_ALLOC | elf::SHF_EXECINSTR,
            sh_addr: 0x1000,
            sh_offset: 0x1000,
            sh_size: LOADABLE_BYTES - 0x1000,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 16,
            sh_entsize: 0,
        });
        writer.write_symtab_section_header(1);
        writer.write_strtab_section_header();
        writer.write_shstrtab_section_header();
    }
}

/// One note with its header, padded to 4 bytes (gABI, "Note Section").
fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [name.len(), content.len(), kind as usize] {
        note.extend(u32::try_from(word).unwrap().to_le_bytes());
    }
    for part in [name, content] {
        note.extend(part);
        note.resize(note.len().next_multiple_of(4), 0);
    }
    note
}
