//! The sizes of the images that a person would ship, and their limits.

use std::collections::HashSet;

use loader::build::{Report, Segment};
use tests::App;
use web::site::{File, Target};

/// Size of an image.
#[derive(Debug)]
pub(crate) struct Row {
    /// The appliance.
    pub(crate) app: App,
    /// Bytes of the image.
    pub(crate) bytes: u64,
    /// Bytes in it that are not program: the site of `web`.
    pub(crate) content: u64,
    /// Most bytes that it may have without content.
    pub(crate) limit: u64,
    /// What it has in the file, by access.
    pub(crate) segments: Vec<Segment>,
}

/// The table, from the images' own reports. Builds them first.
///
/// # Panics
/// If an image does not build, or a report cannot be read.
pub(crate) fn rows() -> Vec<Row> {
    let row = |app: App, content, limit| {
        let report = std::fs::read(app.image().with_extension("json")).expect("there is a report");
        let report: Report = serde_json::from_slice(&report).expect("the report can be read");
        let bytes = std::fs::metadata(app.image()).expect("there is an image").len();
        assert_eq!(report.image.bytes, bytes, "{}: the report is of another image", app.name());
        Row { app, bytes, content, limit, segments: report.segments }
    };
    vec![
        row(App::Hello, 0, 16 * 1024),
        row(App::Echo, 0, 250_000),
        row(App::Lb, 0, 350_000),
        row(App::Web, content(), 350_000),
    ]
}

/// Bytes of the bodies that `web` serves: each file's, once for each coding.
fn content() -> u64 {
    let files = web::SITE.routes.iter().filter_map(|route| match route.target {
        Target::File(file) => Some(file),
        Target::Redirect(_) => None,
    });
    let mut seen = HashSet::new();
    let bodies = files.filter(|&file| seen.insert(std::ptr::from_ref::<File>(file))).map(|file| {
        let variants = file.compressed.iter().map(|variant| variant.body.len());
        file.identity.body.len() + variants.sum::<usize>()
    });
    bodies.sum::<usize>() as u64
}
