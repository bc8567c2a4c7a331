//! Whether functions lie in another order than the compiler gave them.
//!
//! A linker that moves functions leaves the line tables as they are: each function is a sequence of rows, and the sequences of a
//! compilation unit stand in the compiler's order. In an image that was not shuffled their addresses ascend; in one that was, every
//! other pair does.

use addr2line::gimli::{self, Dwarf};
use object::LittleEndian;
use object::read::elf::ElfFile64;

use super::report::Report;
use crate::symbols::dwarf;

/// Most compilation units and sequences that are looked at.
const MAX_UNITS: usize = 1 << 16;
const MAX_SEQUENCES: usize = 1 << 20;
/// Fewer pairs than this can ascend by chance.
const MIN_PAIRS: usize = 24;

/// The seed, and where there are symbols, the order itself.
pub(super) fn check_order(report: &mut Report, symbols: Option<&[u8]>) {
    let (ascending, pairs) = symbols.and_then(neighbours).unwrap_or_default();
    let measured = if pairs >= MIN_PAIRS {
        format!("{ascending} of {pairs} functions lie behind the one that the compiler put before them")
    } else {
        "the order itself was not measured, for want of symbols".to_owned()
    };
    // Of shuffled ones half do; nine tenths of 24 do by chance less than once in 50,000 times.
    let unmoved = pairs >= MIN_PAIRS && ascending * 10 >= pairs * 9;
    let (passed, evidence) = match report.build_seed {
        None => (false, "no seed is known without a sane manifest".to_owned()),
        Some(0) => (false, format!("seed 0: the compiler's order; {measured}")),
        Some(seed) => (!unmoved, format!("seed {seed}; {measured}")),
    };
    let why = "who knows one build of a program must not know where the next one has its functions";
    report.check("function-order", passed, evidence, why);
}

/// Of how many pairs of neighbours in the compiler's order the second still lies behind the first.
fn neighbours(file: &[u8]) -> Option<(usize, usize)> {
    let elf = ElfFile64::<LittleEndian>::parse(file).ok()?;
    let dwarf = dwarf(&elf)?;
    let mut units = dwarf.units();
    let (mut ascending, mut pairs) = (0, 0);
    for _ in 0..MAX_UNITS {
        let Ok(Some(header)) = units.next() else { break };
        let starts = starts(&dwarf, header).unwrap_or_default();
        for pair in starts.windows(2) {
            if let [first, second] = pair
                && pairs < MAX_SEQUENCES
            {
                pairs += 1;
                ascending += usize::from(first < second);
            }
        }
    }
    Some((ascending, pairs))
}

/// Where the functions of a unit begin, in the compiler's order. What was left out of the image has address 0.
fn starts<R: gimli::Reader>(dwarf: &Dwarf<R>, header: gimli::UnitHeader<R>) -> gimli::Result<Vec<u64>> {
    let unit = dwarf.unit(header)?;
    let Some(program) = unit.line_program else { return Ok(Vec::new()) };
    let (_, sequences) = program.sequences()?;
    Ok(sequences.iter().map(|sequence| sequence.start).filter(|&start| start != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_an_ordinary_program_lie_as_the_compiler_gave_them() {
        let this = std::fs::read("/proc/self/exe").unwrap();
        let (ascending, pairs) = neighbours(&this).unwrap();
        assert!(pairs > 1000 && ascending * 100 >= pairs * 95, "{ascending} of {pairs}");
        let mut report = Report { build_seed: Some(7), ..Report::default() };
        check_order(&mut report, Some(&this));
        assert!(!report.checks[0].passed, "a seed alone is believed by nobody: {report}");
    }
}
