//! `ringwall audit`: every property that makes an image a hardened one, with evidence.
//!
//! The audit trusts nothing about the file: it reads any ELF file, whoever made it, says of each property whether it holds, and
//! never fails itself. It is pure: bytes in, [`Report`] out. [`crate::image`] is the strict parser that a run starts with; what
//! that refuses, the audit explains.
//!
//! ```text
//! elf        any ELF file, leniently          names      what the side file knows
//! structure  header, segments, entry, stack   dynamic    interpreter, libraries, relocations, RELRO
//! contract   manifest, devices, gate          sweep      every instruction, in order and in between
//! code       what the sweep means             hazard     instructions that no appliance has a use for
//! order      where the functions lie
//! report     the result                       fate       ... and what would become of them
//! ```

mod code;
mod contract;
mod dynamic;
mod elf;
mod fate;
mod hazard;
mod names;
mod order;
mod report;
mod structure;
mod sweep;

pub use fate::Fate;
pub use hazard::Hazard;
pub use report::{Check, CrateSize, Hidden, HostLook, Report};

use object::elf::{EM_386, EM_X86_64};
use sha2::{Digest as _, Sha256};

use self::elf::Elf;
use self::names::Names;
use self::sweep::Sweep;

/// Audits a file. `symbols` is its side file, which is used if it is of the same build.
///
/// Each byte is looked at a bounded number of times, so the time is proportional to the file's length.
#[must_use]
pub fn audit(bytes: &[u8], symbols: Option<&[u8]>) -> Report {
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut report = Report { sha256, size_bytes: bytes.len() as u64, ..Report::default() };
    match Elf::read(bytes) {
        Ok(elf) => check(&mut report, &elf, symbols),
        Err(error) => {
            let why = "an image is an ELF file; there is nothing more to check";
            report.check("elf-header", false, format!("no ELF file: {error}"), why);
        }
    }
    report.passed = report.checks.iter().all(|check| check.passed);
    report
}

fn check(report: &mut Report, elf: &Elf<'_>, symbols: Option<&[u8]>) {
    let names = Names::new(elf.bytes, symbols);
    report.symbols = names.are_known();
    report.crates = names.crates();
    let is_x86 = elf.little_endian && [EM_X86_64.0, EM_386.0].contains(&elf.machine);
    let sweep = is_x86.then(|| Sweep::over(elf, &names));
    structure::check_form(report, elf);
    structure::check_segments(report, elf);
    structure::check_entry(report, elf, &names, sweep.as_ref());
    structure::check_stack(report, elf);
    dynamic::check_self_contained(report, elf);
    dynamic::check_relocations(report, elf, &names);
    let gate = contract::check_contract(report, elf);
    code::check_code(report, &names, gate, sweep.as_ref());
    code::check_symbols(report, elf);
    order::check_order(report, names.file());
}

#[cfg(test)]
mod tests;
