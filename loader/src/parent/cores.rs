//! What becomes of the file that a core was to go to.

use std::path::{Path, PathBuf};

use super::report::Report;

/// Removes the file if nothing is in it: there is no core of an appliance that ended well.
pub(super) fn remove_if_empty(path: &Path, report: &Report) {
    if report.closing.unwrap_or_default().core_bytes == 0 {
        // Somebody may have been quicker, and then it is gone all the same.
        let _ = std::fs::remove_file(path);
    }
}

/// Says what is in the file, if anything is.
pub(super) fn say(path: &Path, image: &Path, report: &Report) {
    let closing = report.closing.unwrap_or_default();
    let file = path.display();
    if closing.core_bytes == 0 {
        return;
    }
    if closing.core_is_whole == 1 {
        let symbols: PathBuf = image.with_extension("debug");
        crate::say!("ringwall: core in {file}: gdb {} {file}", symbols.display());
    } else {
        crate::say!("ringwall: core in {file} is not whole: the host took {} bytes", closing.core_bytes);
    }
}
