//! Checks of what would be changed, or fetched, before the first instruction.

use object::elf::{
    DT_JMPREL, DT_NEEDED, DT_REL, DT_RELA, DT_RELASZ, DT_RELR, DT_TEXTREL, PT_DYNAMIC, PT_GNU_RELRO,
    PT_INTERP, R_X86_64_RELATIVE,
};

use super::elf::{Elf, Header, WRITE};
use super::names::Names;
use super::report::Report;
use crate::address::{index, page_ceil, page_floor};

/// Bytes of an `Elf64_Rela`.
const ENTRY_BYTES: usize = 24;

/// No interpreter, no shared library.
pub(super) fn check_self_contained(report: &mut Report, elf: &Elf<'_>) {
    let interpreter = elf.of_kind(PT_INTERP.0).next().map(|header| {
        let name =
            String::from_utf8_lossy(elf.content(header)).trim_end_matches('\0').escape_debug().to_string();
        format!("PT_INTERP asks for \"{}\"", name.chars().take(64).collect::<String>())
    });
    report.check(
        "interpreter",
        interpreter.is_none(),
        interpreter.unwrap_or_else(|| "no PT_INTERP".to_owned()),
        "another program, which nobody audited, would run first",
    );
    let needed = elf.dynamic.iter().filter(|(tag, _)| *tag == DT_NEEDED.0).count();
    report.check(
        "shared-libraries",
        needed == 0,
        format!("{needed} DT_NEEDED entries"),
        "code from outside the image would become part of it",
    );
}

/// What the relocation tables say.
#[derive(Default)]
struct Relocations {
    relative: usize,
    /// Type and place of the first of another type, and how many.
    foreign: Option<(u32, u64)>,
    foreign_count: usize,
    outside_data: Vec<u64>,
    /// Words changed that stay writable.
    outside_relro: usize,
    problems: Vec<String>,
}

impl Relocations {
    fn of(elf: &Elf<'_>, relro: Option<&Header>) -> Self {
        let mut found = Self::default();
        for (tag, what) in [(DT_REL, "DT_REL"), (DT_JMPREL, "DT_JMPREL"), (DT_RELR, "DT_RELR")] {
            if elf.dynamic_value(tag.0).is_some() {
                found.problems.push(format!("a table of another kind ({what})"));
            }
        }
        if elf.dynamic_value(DT_TEXTREL.0).is_some() {
            found.problems.push("DT_TEXTREL announces changes to read-only memory".to_owned());
        }
        let size_bytes = index(elf.dynamic_value(DT_RELASZ.0).unwrap_or(0));
        let table = elf.dynamic_value(DT_RELA.0).map(|address| elf.at(address)).unwrap_or_default();
        if size_bytes > table.len() || !size_bytes.is_multiple_of(ENTRY_BYTES) {
            found.problems.push("the table lies outside the file or ends within an entry".to_owned());
        }
        for entry in table.get(..size_bytes).unwrap_or(table).chunks_exact(ENTRY_BYTES) {
            found.take(elf, relro, entry);
        }
        found
    }

    fn take(&mut self, elf: &Elf<'_>, relro: Option<&Header>, entry: &[u8]) {
        let (offset, info): (u64, u64) =
            (hvcall::Wire::read(entry), hvcall::Wire::read(entry.get(8..).unwrap_or_default()));
        if info == u64::from(R_X86_64_RELATIVE.0) {
            self.relative += 1;
        } else {
            self.foreign_count += 1;
            self.foreign.get_or_insert((u32::try_from(info & 0xffff_ffff).unwrap_or(0), offset));
        }
        if !elf.loads().any(|load| load.is(WRITE) && load.holds(offset)) && self.outside_data.len() < 4 {
            self.outside_data.push(offset);
        }
        if !relro.is_some_and(|relro| relro.holds(offset)) {
            self.outside_relro += 1;
        }
    }

    const fn count(&self) -> usize {
        self.relative + self.foreign_count
    }
}

/// Relocations of one type, in data only, and made read-only afterwards.
pub(super) fn check_relocations(report: &mut Report, elf: &Elf<'_>, names: &Names<'_>) {
    let relro = elf.of_kind(PT_GNU_RELRO.0).next();
    let mut found = Relocations::of(elf, relro);
    if let Some((kind, offset)) = found.foreign {
        found
            .problems
            .push(format!("{} not R_X86_64_RELATIVE, first type {kind} at {offset:#x}", found.foreign_count));
    }
    for offset in &found.outside_data {
        let place = elf
            .loads()
            .find(|load| load.holds(*offset))
            .map_or_else(|| "no segment".to_owned(), |load| format!("the {} segment", load.rights()));
        found.problems.push(format!("one changes {offset:#x}, in {place}"));
    }
    report.check(
        "relocations",
        found.problems.is_empty(),
        if found.problems.is_empty() { format!("{}, all R_X86_64_RELATIVE in data", found.relative) } else { found.problems.join("; ") },
        "a relocation outside data changes code or constants, and other types look up symbols that an image does not have",
    );
    let evidence = relro_problem(elf, relro, &found, names);
    let passed = evidence.is_none();
    let good = || match relro {
        Some(relro) => format!(
            "{:#x}..{:#x} becomes read-only; {} of {} relocated words are variables",
            page_floor(relro.address),
            page_ceil(relro.end()).unwrap_or(u64::MAX),
            found.outside_relro,
            found.count()
        ),
        None => "nothing is relocated".to_owned(),
    };
    report.check(
        "relro",
        passed,
        evidence.unwrap_or_else(good),
        "tables of addresses that stay writable are what an attacker overwrites to choose the next jump",
    );
}

fn relro_problem(
    elf: &Elf<'_>,
    relro: Option<&Header>,
    found: &Relocations,
    names: &Names<'_>,
) -> Option<String> {
    let Some(relro) = relro else {
        let dynamic = elf.of_kind(PT_DYNAMIC.0).next().is_some();
        return (found.count() > 0 || dynamic)
            .then(|| format!("PT_GNU_RELRO is missing; {} words are relocated", found.count()));
    };
    if !elf.loads().any(|load| load.is(WRITE) && load.address == relro.address && relro.end() <= load.end()) {
        return Some(format!(
            "PT_GNU_RELRO {:#x}..{:#x} is not the start of a writable segment",
            relro.address,
            relro.end()
        ));
    }
    if elf.of_kind(PT_DYNAMIC.0).any(|dynamic| dynamic.address < relro.address || dynamic.end() > relro.end())
    {
        return Some("the dynamic section stays writable".to_owned());
    }
    if found.count() > 0 && found.outside_relro == found.count() {
        return Some(format!("none of {} relocated words becomes read-only", found.count()));
    }
    let mut sections = names.constant_sections.iter().filter(|(_, range)| !range.is_empty());
    let outside = sections.find(|(_, range)| range.start < relro.address || range.end > relro.end());
    outside.map(|(name, _)| format!("section {} stays writable", name.escape_debug()))
}
