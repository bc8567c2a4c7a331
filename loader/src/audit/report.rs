//! What an audit found, as text for people and as JSON of a fixed form.

use std::fmt;

use hvcall::ExitCode;
use serde::Serialize;

use super::fate::Fate;
use super::hazard::Hazard;

/// One property of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A short, stable name.
    pub name: &'static str,
    /// Whether the property holds.
    pub passed: bool,
    /// What was found.
    pub evidence: String,
    /// Why it matters.
    pub why: &'static str,
}

/// Encodings of one kind of hazard that begin inside other instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hidden {
    /// The kind.
    pub kind: Hazard,
    /// At how many offsets.
    pub count: u64,
    /// What would become of one, if the guest jumped there.
    pub fate: Option<Fate>,
}

/// An instruction that reads the time-stamp counter or identifies the processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostLook {
    /// Its name.
    pub instruction: String,
    /// Its address in the image.
    pub address: u64,
    /// The function that it is in, where there are symbols.
    pub function: Option<String>,
    /// Whether that is one of the time and start modules. `None` without symbols.
    pub expected: Option<bool>,
}

/// Code and constants of one crate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CrateSize {
    /// Its name, or what else the bytes are.
    pub name: String,
    /// Bytes of its functions.
    pub code_bytes: u64,
    /// Bytes of its statics.
    pub data_bytes: u64,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every check passed.
    pub passed: bool,
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Length of the file.
    pub size_bytes: u64,
    /// Name and version in the manifest, where there is a sane one.
    pub appliance: Option<String>,
    /// Seed of the function order in the manifest.
    pub build_seed: Option<u64>,
    /// Whether symbols of this build were at hand.
    pub symbols: bool,
    /// Instructions that were decoded in order.
    pub instructions: u64,
    /// Reported, not judged: what hides inside other instructions.
    pub hidden: Vec<Hidden>,
    /// Reported, not judged: the first places that read the time-stamp counter or identify the processor.
    pub host_looks: Vec<HostLook>,
    /// Reported, not judged: how many such places there are.
    pub host_look_count: u64,
    /// Reported, not judged: who brings how much, by the symbols.
    pub crates: Vec<CrateSize>,
}

impl Report {
    pub(super) fn check(
        &mut self,
        name: &'static str,
        passed: bool,
        evidence: impl Into<String>,
        why: &'static str,
    ) {
        self.checks.push(Check { name, passed, evidence: evidence.into(), why });
    }

    /// Exit status of `ringwall audit`: 0, or 65 if a check fails.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        if self.passed { ExitCode(0) } else { ExitCode::BAD_IMAGE }
    }

    /// The checks that fail.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// The report as one JSON object. Its fields are those of this type.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Maps with other keys than strings, the one thing that cannot be represented, do not occur.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn notes(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.hidden.is_empty() {
            writeln!(formatter, "\nInside other instructions, and what each would do:")?;
        }
        for hidden in &self.hidden {
            let kind = format!("{:?}", hidden.kind);
            let (kvm, process) = hidden.fate.map_or(("unknown", "unknown"), |fate| (fate.kvm, fate.process));
            writeln!(formatter, "{:>7}  {kind:<17}  kvm: {kvm}", hidden.count)?;
            writeln!(formatter, "{:>7}  {:17}  process: {process}", "", "")?;
        }
        if !self.host_looks.is_empty() {
            writeln!(
                formatter,
                "\nReading the time-stamp counter or identifying the processor, {} places:",
                self.host_look_count
            )?;
        }
        for look in &self.host_looks {
            let function = look.function.as_deref().unwrap_or("");
            let mark = if look.expected == Some(false) { "  outside the time and start modules" } else { "" };
            writeln!(formatter, "{:#9x}  {:<7} {function}{mark}", look.address, look.instruction)?;
        }
        if !self.crates.is_empty() {
            writeln!(formatter, "\nBytes by crate (code, data):")?;
        }
        for part in &self.crates {
            writeln!(formatter, "{:>9} {:>9}  {}", part.code_bytes, part.data_bytes, part.name)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    /// One line for each check, below a failed one why it matters, then what is reported and not judged, and the verdict.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            let verdict = if check.passed { "pass" } else { "FAIL" };
            writeln!(formatter, "{verdict}  {:width$}  {}", check.name, check.evidence)?;
            if !check.passed {
                writeln!(formatter, "      {:width$}  -> {}", "", check.why)?;
            }
        }
        self.notes(formatter)?;
        let failed = self.failures().count();
        let name = self.appliance.as_deref().unwrap_or("this file");
        match failed {
            0 => writeln!(
                formatter,
                "\nAll {} checks pass: {name} is what a hardened build makes.",
                self.checks.len()
            ),
            _ => writeln!(formatter, "\n{failed} of {} checks FAIL for {name}.", self.checks.len()),
        }
    }
}
