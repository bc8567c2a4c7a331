//! Ratios as a bar chart.

use svg::Document;
use svg::node::element::{Line, Rectangle, Text};

use crate::result::Comparison;

/// Sizes in pixels.
const LABELS: f64 = 360.0;
const BARS: f64 = 400.0;
const ROW: f64 = 26.0;
const TOP: f64 = 50.0;

/// A horizontal bar for each comparison's ratio, and a line where both sides are equal.
#[must_use]
pub fn ratios(title: &str, comparisons: &[Comparison]) -> Document {
    let largest = comparisons.iter().map(|row| row.ratio).fold(1.0, f64::max);
    let scale = BARS / largest;
    let height = TOP + ROW * (comparisons.len() as f64 + 0.5);
    let text = |content: String, x: f64, y: f64| Text::new(content).set("x", x).set("y", y);
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, LABELS + BARS + 80.0, height))
        .set("font-family", "sans-serif")
        .set("font-size", 13)
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white"))
        .add(text(title.to_owned(), 10.0, 22.0).set("font-size", 16))
        .add(text("equal".to_owned(), LABELS + scale, TOP - 8.0).set("text-anchor", "middle"));
    for (row, index) in comparisons.iter().zip(0_u32..) {
        let y = TOP + ROW * f64::from(index);
        let width = row.ratio * scale;
        document = document
            .add(text(row.name.to_owned(), LABELS - 10.0, y + 17.0).set("text-anchor", "end"))
            .add(
                Rectangle::new()
                    .set("x", LABELS)
                    .set("y", y + 4.0)
                    .set("width", width)
                    .set("height", ROW - 8.0)
                    .set("fill", "steelblue"),
            )
            .add(text(format!("{:.2}", row.ratio), LABELS + width + 6.0, y + 17.0));
    }
    let equal = LABELS + scale;
    document.add(
        Line::new()
            .set("x1", equal)
            .set("x2", equal)
            .set("y1", TOP - 4.0)
            .set("y2", height)
            .set("stroke", "black"),
    )
}
