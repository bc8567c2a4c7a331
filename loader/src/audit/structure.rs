//! Checks of the ELF file's form: header, segments, entry, stack.

use object::elf::{EM_386, EM_X86_64, ET_CORE, ET_DYN, ET_EXEC, ET_REL, PT_GNU_STACK};

use super::elf::{EXECUTE, Elf, Header, WRITE};
use super::names::Names;
use super::report::Report;
use super::sweep::Sweep;
use crate::address::{page_ceil, page_floor};
use crate::image::{Image, MAX_SPAN_BYTES};

/// The header, and what the loader itself would say.
pub(super) fn check_form(report: &mut Report, elf: &Elf<'_>) {
    let kind = match elf.kind {
        kind if kind == ET_DYN.0 => "position-independent".to_owned(),
        kind if kind == ET_EXEC.0 => "a program at fixed addresses".to_owned(),
        kind if kind == ET_REL.0 => "an object file that was never linked".to_owned(),
        kind if kind == ET_CORE.0 => "a core dump".to_owned(),
        kind => format!("of type {kind:#x}"),
    };
    let machine = match elf.machine {
        machine if machine == EM_X86_64.0 => "x86-64".to_owned(),
        machine if machine == EM_386.0 => "80386".to_owned(),
        machine => format!("machine {machine:#x}"),
    };
    let order = if elf.little_endian { "little-endian" } else { "big-endian" };
    let fits = elf.bits == 64 && elf.little_endian && elf.kind == ET_DYN.0 && elf.machine == EM_X86_64.0;
    report.check(
        "elf-header",
        fits && elf.damage.is_empty(),
        [format!("{}-bit, {order}, {machine}, {kind}", elf.bits)]
            .into_iter()
            .chain(elf.damage.clone())
            .collect::<Vec<_>>()
            .join("; "),
        "only a position-independent x86-64 program can be moved to a new address at each boot",
    );
    let verdict = Image::parse(elf.bytes.to_vec());
    report.check(
        "loader",
        verdict.is_ok(),
        verdict.map_or_else(|error| format!("refused: {error}"), |_| "`ringwall run` accepts it".to_owned()),
        "`ringwall run` ends with 65 before anything is built from such a file",
    );
}

/// Segments: in the file, in order, apart, with rights that never meet.
pub(super) fn check_segments(report: &mut Report, elf: &Elf<'_>) {
    let mut problems = Vec::new();
    let loads: Vec<&Header> = elf.loads().collect();
    if loads.is_empty() {
        problems.push("no loadable segment".to_owned());
    }
    if elf.header_count > elf.headers.len() {
        problems.push(format!(
            "{} program headers, of which the first {} were looked at",
            elf.header_count,
            elf.headers.len()
        ));
    }
    let mut floor = 0;
    for load in &loads {
        let end = load.address.checked_add(load.memory_bytes);
        let in_file =
            load.offset.checked_add(load.file_bytes).is_some_and(|end| end <= elf.bytes.len() as u64);
        for (wrong, what) in [
            (page_floor(load.address) < floor, "shares a page with an earlier one, or is out of order"),
            (end.is_none_or(|end| end > MAX_SPAN_BYTES), "reaches beyond 1 GiB"),
            (!in_file, "has content outside the file"),
            (load.file_bytes > load.memory_bytes, "has more bytes in the file than in memory"),
            (load.memory_bytes == 0, "is empty"),
        ] {
            if wrong {
                problems.push(format!("the segment at {:#x} {what}", load.address));
            }
        }
        floor = floor.max(page_ceil(load.end()).unwrap_or(u64::MAX));
    }
    let list = loads.iter().map(|load| format!("{} {:#x}..{:#x}", load.rights(), load.address, load.end()));
    let list = list.collect::<Vec<_>>().join(", ");
    report.check(
        "segments",
        problems.is_empty(),
        if problems.is_empty() { list } else { problems.join("; ") },
        "what overlaps or wraps could have two meanings, one for who checks and one for who loads",
    );
    let both: Vec<String> = loads
        .iter()
        .filter(|load| load.is(EXECUTE) && load.is(WRITE))
        .map(|load| format!("{:#x}", load.address))
        .collect();
    let executable = loads.iter().filter(|load| load.is(EXECUTE)).count();
    report.check(
        "write-xor-execute",
        both.is_empty() && executable > 0,
        match (both.is_empty(), executable) {
            (false, _) => format!("writable and executable: the segment at {}", both.join(", ")),
            (true, 0) => "no executable segment".to_owned(),
            (true, count) => format!("{count} executable segment(s), none writable"),
        },
        "code that can be changed while it runs is not the code that was audited",
    );
}

/// The entry point is an instruction of the text.
pub(super) fn check_entry(report: &mut Report, elf: &Elf<'_>, names: &Names<'_>, sweep: Option<&Sweep>) {
    let segment = elf.loads().find(|load| load.holds(elf.entry));
    let (passed, evidence) = match (segment, sweep) {
        (None, _) => (false, "outside every segment".to_owned()),
        (Some(load), _) if !load.is(EXECUTE) => {
            (false, format!("in the {} segment at {:#x}", load.rights(), load.address))
        }
        (Some(_), None) => (false, "in code of another machine".to_owned()),
        (Some(_), Some(sweep)) if !sweep.entry_is_start => {
            (false, "in the middle of an instruction".to_owned())
        }
        (Some(_), Some(_)) => (true, format!("at an instruction{}", names.within(elf.entry))),
    };
    report.check(
        "entry",
        passed,
        format!("{:#x}: {evidence}", elf.entry),
        "the first instruction has to be one of those that were decoded below",
    );
}

/// The stack, as the program asks for it.
pub(super) fn check_stack(report: &mut Report, elf: &Elf<'_>) {
    let stacks: Vec<&Header> = elf.of_kind(PT_GNU_STACK.0).collect();
    let (passed, evidence) = match stacks.as_slice() {
        [] => (false, "PT_GNU_STACK is missing, which asks for an executable stack".to_owned()),
        [stack] if stack.is(EXECUTE) => (false, "PT_GNU_STACK asks for an executable stack".to_owned()),
        [stack] => (true, format!("PT_GNU_STACK is {}", stack.rights())),
        _ => (false, format!("{} times PT_GNU_STACK", stacks.len())),
    };
    report.check("stack", passed, evidence, "an executable stack turns every overflow into code");
}
