//! Structures of an ELF core file: System V gABI ("ELF Header", "Program Header", "Note Section"), and what Linux puts into the
//! notes (include/uapi/linux/elfcore.h and arch/x86/include/asm/elf.h, v6.12).

use hvcall::Wire;
use static_assertions::const_assert_eq;

/// `ELFMAG`, `ELFCLASS64`, `ELFDATA2LSB`, `EV_CURRENT`.
pub(super) const IDENT: [u8; 16] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
pub(super) const ET_CORE: u16 = 4;
pub(super) const EM_X86_64: u16 = 62;
pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_NOTE: u32 = 4;
pub(super) const PF_X: u32 = 1;
pub(super) const PF_W: u32 = 2;
pub(super) const PF_R: u32 = 4;
pub(super) const NT_PRSTATUS: u32 = 1;
pub(super) const NT_PRPSINFO: u32 = 3;
pub(super) const NT_AUXV: u32 = 6;
/// Entry point, from which a debugger sees where a position-independent program lies.
pub(super) const AT_ENTRY: u64 = 9;
/// Page size.
pub(super) const AT_PAGESZ: u64 = 6;

hvcall::wire_struct! {
    /// `Elf64_Ehdr`.
    pub struct FileHeader {
        /// `e_ident`.
        pub ident: [u8; 16],
        /// `e_type`.
        pub kind: u16,
        /// `e_machine`.
        pub machine: u16,
        /// `e_version`.
        pub version: u32,
        /// `e_entry`.
        pub entry: u64,
        /// `e_phoff`.
        pub headers_offset: u64,
        /// `e_shoff`.
        pub sections_offset: u64,
        /// `e_flags`.
        pub flags: u32,
        /// `e_ehsize`.
        pub header_bytes: u16,
        /// `e_phentsize`.
        pub program_header_bytes: u16,
        /// `e_phnum`.
        pub program_headers: u16,
        /// `e_shentsize`, `e_shnum`, `e_shstrndx`.
        pub sections: [u16; 3],
    }
}
const_assert_eq!(size_of::<FileHeader>(), 64);

hvcall::wire_struct! {
    /// `Elf64_Phdr`.
    pub struct ProgramHeader {
        /// `p_type`.
        pub kind: u32,
        /// `p_flags`.
        pub flags: u32,
        /// `p_offset`.
        pub offset: u64,
        /// `p_vaddr`.
        pub address: u64,
        /// `p_paddr`.
        pub physical: u64,
        /// `p_filesz`.
        pub file_bytes: u64,
        /// `p_memsz`.
        pub memory_bytes: u64,
        /// `p_align`.
        pub align: u64,
    }
}
const_assert_eq!(size_of::<ProgramHeader>(), 56);

hvcall::wire_struct! {
    /// `Elf64_Nhdr` and the name that all notes here have: `CORE`.
    pub struct NoteHeader {
        /// `n_namesz`.
        pub name_bytes: u32,
        /// `n_descsz`.
        pub content_bytes: u32,
        /// `n_type`.
        pub kind: u32,
        /// The name, ended by a NUL and padded to 4 bytes.
        pub name: [u8; 8],
    }
}

hvcall::wire_struct! {
    /// `struct elf_prstatus`: a thread, of which there is one.
    pub struct Status {
        /// `pr_info`: signal number, code, error number.
        pub info: [u32; 3],
        /// `pr_cursig`.
        pub signal: u16,
        /// Padding of the C structure.
        pub padding: u16,
        /// `pr_sigpend`, `pr_sighold`.
        pub pending: [u64; 2],
        /// `pr_pid`, `pr_ppid`, `pr_pgrp`, `pr_sid`.
        pub ids: [u32; 4],
        /// `pr_utime`, `pr_stime`, `pr_cutime`, `pr_cstime`.
        pub times: [u64; 8],
        /// `pr_reg`: R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, original RAX, RIP, CS, RFLAGS, RSP,
        /// SS, FS base, GS base, DS, ES, FS, GS.
        pub registers: [u64; 27],
        /// `pr_fpvalid`.
        pub has_fpu: u32,
        /// Padding of the C structure.
        pub end: u32,
    }
}
const_assert_eq!(size_of::<Status>(), 336);
const_assert_eq!(core::mem::offset_of!(Status, registers), 112);

hvcall::wire_struct! {
    /// `struct elf_prpsinfo`: the process.
    pub struct Process {
        /// `pr_state`, `pr_sname`, `pr_zomb`, `pr_nice`.
        pub state: [u8; 4],
        /// Padding of the C structure.
        pub padding: u32,
        /// `pr_flag`.
        pub flags: u64,
        /// `pr_uid`, `pr_gid`, `pr_pid`, `pr_ppid`, `pr_pgrp`, `pr_sid`.
        pub ids: [u32; 6],
        /// `pr_fname`.
        pub name: [u8; 16],
        /// `pr_psargs`, 80 bytes.
        pub arguments: [[u8; 16]; 5],
    }
}
const_assert_eq!(size_of::<Process>(), 136);

/// Appends a structure.
pub(super) fn put(bytes: &mut Vec<u8>, structure: &impl Wire) {
    let at = bytes.len();
    bytes.resize(at + size_of_val(structure), 0);
    structure.write(&mut bytes[at..]);
}
