//! ELF to [`Image`], checking on the way.

use std::ops::Range;

use object::LittleEndian;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_DYN, FileHeader64, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_RELRO,
    PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NOTE, PT_TLS, ProgramHeader64, ProgramType,
};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::{Image, ImageError, MAX_SPAN_BYTES, Notes, Permission, Segment, relocation};
use crate::address::{PAGE_BYTES, index, page_ceil, page_floor};

/// Most program headers. Linkers make about a dozen.
pub(super) const MAX_HEADERS: usize = 64;

const LE: LittleEndian = LittleEndian;
pub(super) type Header = ProgramHeader64<LittleEndian>;

pub(super) fn parse(bytes: Vec<u8>) -> Result<Image, ImageError> {
    let file = FileHeader64::<LittleEndian>::parse(bytes.as_slice())?;
    check_header(file)?;
    let headers = file.program_headers(LE, bytes.as_slice())?;
    let loads = headers.iter().filter(|header| header.p_type(LE) == PT_LOAD).count();
    if headers.len() > MAX_HEADERS || loads == 0 {
        return Err(ImageError::HeaderCount { count: loads, headers: headers.len() });
    }
    check_header_kinds(headers)?;
    let segments = segments(headers, bytes.len())?;
    let entry = file.e_entry(LE);
    if !segments.iter().any(|segment| is_code(segment, entry)) {
        return Err(ImageError::Entry(entry));
    }
    let relro = relro(headers, &segments)?;
    let notes = Notes::find(headers, &bytes)?;
    notes.manifest.check()?;
    check_gate(notes.gate, &segments, &bytes)?;
    let relocations = relocation::find(headers, &segments, &bytes)?;
    Ok(Image { segments, relro, entry, gate: notes.gate, manifest: notes.manifest, relocations, bytes })
}

fn check_header(file: &FileHeader64<LittleEndian>) -> Result<(), ImageError> {
    let fields = [
        ("class", u64::from(file.e_ident.class.0), u64::from(ELFCLASS64.0)),
        ("byte order", u64::from(file.e_ident.data.0), u64::from(ELFDATA2LSB.0)),
        ("machine", u64::from(file.e_machine(LE).0), u64::from(EM_X86_64.0)),
        ("type", u64::from(file.e_type(LE).0), u64::from(ET_DYN.0)),
    ];
    for (field, found, expected) in fields {
        if found != expected {
            return Err(ImageError::Header { field, found, expected });
        }
    }
    Ok(())
}

fn check_header_kinds(headers: &[Header]) -> Result<(), ImageError> {
    let of = |kind| headers.iter().filter(move |header| header.p_type(LE) == kind);
    if of(PT_INTERP).next().is_some() {
        return Err(ImageError::Interpreter);
    }
    if of(PT_TLS).next().is_some() {
        return Err(ImageError::ThreadLocal);
    }
    let mut stacks = of(PT_GNU_STACK);
    match (stacks.next(), stacks.next()) {
        (Some(stack), None) if stack.p_flags(LE).0 & PF_X.0 == 0 => Ok(()),
        _ => Err(ImageError::Stack),
    }
}

fn segments(headers: &[Header], file_bytes: usize) -> Result<Vec<Segment>, ImageError> {
    let mut segments: Vec<Segment> = Vec::new();
    for header in headers.iter().filter(|header| header.p_type(LE) == PT_LOAD) {
        let segment = segment(header, file_bytes)?;
        let floor = segments.last().and_then(|earlier| page_ceil(earlier.memory.end)).unwrap_or(0);
        if page_floor(segment.memory.start) < floor {
            return Err(ImageError::Segment {
                address: segment.memory.start,
                reason: "it shares a page with an earlier segment, or segments are out of order",
            });
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn segment(header: &Header, file_bytes: usize) -> Result<Segment, ImageError> {
    let address = header.p_vaddr(LE);
    let fail = |reason| ImageError::Segment { address, reason };
    let permission = match header.p_flags(LE) {
        PF_R => Permission::ReadOnly,
        flags if flags == PF_R | PF_X => Permission::ReadExecute,
        flags if flags == PF_R | PF_W => Permission::ReadWrite,
        flags => return Err(ImageError::Permission { address, flags: flags.0 }),
    };
    let (size, file_size) = (header.p_memsz(LE), header.p_filesz(LE));
    if size == 0 {
        return Err(fail("it is empty"));
    }
    if file_size > size {
        return Err(fail("it has more bytes in the file than in memory"));
    }
    let end = address.checked_add(size).filter(|&end| end <= MAX_SPAN_BYTES);
    let end = end.ok_or_else(|| fail("it reaches beyond 1 GiB"))?;
    let file_end = header.p_offset(LE).checked_add(file_size).filter(|&end| end <= file_bytes as u64);
    let file_end = file_end.ok_or_else(|| fail("its content lies outside the file"))?;
    Ok(Segment { file: index(header.p_offset(LE))..index(file_end), memory: address..end, permission })
}

fn is_code(segment: &Segment, address: u64) -> bool {
    segment.permission == Permission::ReadExecute
        && address >= segment.memory.start
        && address - segment.memory.start < segment.file.len() as u64
}

fn relro(headers: &[Header], segments: &[Segment]) -> Result<Range<u64>, ImageError> {
    let mut found = headers.iter().filter(|header| header.p_type(LE) == PT_GNU_RELRO);
    let Some(header) = found.next() else { return Ok(0..0) };
    let start = header.p_vaddr(LE);
    let end = start.saturating_add(header.p_memsz(LE));
    // From a writable segment's start to its end or to a page's: what shares a page with variables could not be read-only.
    let fits = segments.iter().any(|segment| {
        segment.permission == Permission::ReadWrite
            && segment.memory.start == start
            && (segment.memory.end == end || (end < segment.memory.end && end.is_multiple_of(PAGE_BYTES)))
    });
    if found.next().is_some() || !fits {
        return Err(ImageError::Relro { start, end });
    }
    Ok(page_floor(start)..page_ceil(end).unwrap_or(end))
}

fn check_gate(gate: u64, segments: &[Segment], bytes: &[u8]) -> Result<(), ImageError> {
    let page = hvcall::gate::page();
    let holds = gate.is_multiple_of(PAGE_BYTES)
        && segments.iter().any(|segment| {
            is_code(segment, gate)
                && bytes[segment.file.clone()]
                    .get(index(gate - segment.memory.start)..)
                    .is_some_and(|content| content.get(..page.len()).is_some_and(|content| content == page))
        });
    if holds { Ok(()) } else { Err(ImageError::Gate(gate)) }
}

/// Program headers of one kind.
pub(super) fn of_kind(headers: &[Header], kind: ProgramType) -> impl Iterator<Item = &Header> {
    headers.iter().filter(move |header| header.p_type(LE) == kind)
}

/// `PT_NOTE` headers.
pub(super) fn note_headers(headers: &[Header]) -> impl Iterator<Item = &Header> {
    of_kind(headers, PT_NOTE)
}

/// The one `PT_DYNAMIC` header.
pub(super) fn dynamic_header(headers: &[Header]) -> Option<&Header> {
    of_kind(headers, PT_DYNAMIC).next()
}
