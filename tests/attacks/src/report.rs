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

/// Prints all rows, and how many are not as they should be.
pub(crate) fn print(rows: &[Row], json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(rows).unwrap_or_default());
    } else {
        let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (case, got) = (width(|row| &row.case), width(|row| &row.got).min(60));
        for row in rows {
            let verdict = if row.ok { "ok" } else { "WRONG" };
            println!("{:<5} {:<7} {:case$}  {:got$}  {}", verdict, row.host, row.case, row.got, row.expected);
        }
    }
    let count = |wanted: fn(&&Row) -> bool| rows.iter().filter(wanted).count();
    let wrong = count(|row| !row.ok);
    let skipped = count(|row| row.skipped);
    eprintln!(
        "{} cases as expected, {wrong} wrong, {skipped} not applicable on this host",
        rows.len() - wrong - skipped
    );
}
