//! Puts the functions that a start runs side by side in the program: a page fault there brings in the pages around it, too, and with
//! those functions all over the code a start takes twice as many.

use std::error::Error;
use std::path::Path;

/// Hands the list that `scripts/start-order` makes to the linker. Only for optimised programs: others have other functions. What is not
/// in the program does nothing.
pub(super) fn order_functions(package: &Path) -> Result<(), Box<dyn Error>> {
    let list = package.join("build/start-order.ld");
    println!("cargo::rerun-if-changed={}", list.display());
    if std::env::var("PROFILE")? == "release" {
        println!("cargo::rustc-link-arg-bin=ringwall=-Wl,-T,{}", list.display());
    }
    Ok(())
}
