//! The table as people and programs read it.

use serde::Serialize;

/// A line.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The case's name.
    pub(crate) case: String,
    /// Kind of host.
    pub(crate) host: String,
    /// What became of it.
    pub(crate) got: String,
    /// What must become of it.
    pub(crate) expected: String,
    /// Whether it did.
    pub(crate) ok: bool,
    /// Whether the case does not apply to the host: `expected` says why.
    pub(crate) skipped: bool,
}

/// Prints a row as text.
pub(crate) fn print_row(row: &Row) {
    let verdict = if row.ok { "ok" } else { "WRONG" };
    println!("{verdict:<5} {:<7} {:<44} {:<28} {}", row.host, row.case, row.got, row.expected);
}

/// Prints all rows, if they have not been printed as text, and how many are not as they should be.
pub(crate) fn print(rows: &[Row], json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(rows).unwrap_or_default());
    }
    let count = |wanted: fn(&&Row) -> bool| rows.iter().filter(wanted).count();
    let wrong = count(|row| !row.ok);
    let skipped = count(|row| row.skipped);
    eprintln!(
        "{} cases as expected, {wrong} wrong, {skipped} not applicable on this host",
        rows.len() - wrong - skipped
    );
}
