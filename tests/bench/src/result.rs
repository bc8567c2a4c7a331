//! Results as a table for people and as JSON for machines.

use std::fmt::Write as _;

use serde::Serialize;

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What was measured.
    pub name: &'static str,
    /// Unit of both numbers.
    pub unit: &'static str,
    /// Ringwall's median.
    pub ours: f64,
    /// The reference's median, measured in turn with ours.
    pub reference: f64,
    /// Median of the pairwise ratios, so that a slow spell of the machine hits both sides of a ratio.
    pub ratio: f64,
}

/// Prints comparisons.
///
/// # Errors
/// If they cannot be turned into JSON, which does not happen for finite numbers.
pub fn print(comparisons: &[Comparison], json: bool) -> serde_json::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(comparisons)?);
        return Ok(());
    }
    println!("{:<44} {:>5} {:>12} {:>12} {:>7}", "median", "unit", "ours", "reference", "ratio");
    for row in comparisons {
        let Comparison { name, unit, ours, reference, ratio } = row;
        println!("{name:<44} {unit:>5} {ours:>12.2} {reference:>12.2} {ratio:>7.3}");
    }
    Ok(())
}

/// Comparisons as a Markdown table.
#[must_use]
pub fn markdown(title: &str, comparisons: &[Comparison]) -> String {
    let mut text = format!(
        "# {title}\n\n| median | unit | ours | reference | ratio |\n| --- | --- | --- | --- | --- |\n"
    );
    for row in comparisons {
        let Comparison { name, unit, ours, reference, ratio } = row;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {unit} | {ours:.2} | {reference:.2} | {ratio:.3} |");
    }
    text
}
