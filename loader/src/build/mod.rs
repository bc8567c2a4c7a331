//! The image builder: a crate folder in, a sealed image and its symbol side file out.
//!
//! Cargo and rustc do the work; this module chooses the flags ([`flags`]), lets cargo talk to the person directly, and
//! *seals* what the linker made ([`seal()`]): everything that the machine will not load is cut off.
//!
//! ```text
//! crate folder --cargo metadata--> which binary, where to build     (package)
//!              --cargo build-----> linked ELF with symbols          (cargo, flags)
//!              --seal------------> images/NAME.img, images/NAME.debug
//! ```
//! Image and side file carry the same GNU build id, which is how [`crate::symbols`] knows that they belong together.

mod cargo;
mod error;
mod flags;
mod package;
mod seal;

use std::path::{Path, PathBuf};

pub use error::{BuildError, SealError};
pub(crate) use flags::TARGET as RUST_TARGET;
pub(crate) use package::cargo_program;
pub use seal::seal;

/// What a person may choose about a build.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// Binary to build, needed where the crate has several and no `default-run`.
    pub bin: Option<String>,
    /// Cargo features to turn on, as after `cargo build --features`.
    pub features: Vec<String>,
    /// Leave the crate's default features off.
    pub no_default_features: bool,
    /// Say nothing on success.
    pub quiet: bool,
    /// Never touch the network.
    pub offline: bool,
    /// Fail rather than change `Cargo.lock`.
    pub locked: bool,
}

/// What came out of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The sealed image, `target/ringwall/images/NAME.img`.
    pub image: PathBuf,
    /// Its symbol side file, `target/ringwall/images/NAME.debug`: the whole linked file.
    pub symbols: PathBuf,
    /// Name of the binary.
    pub bin: String,
    /// Length of the image file in bytes.
    pub image_bytes: u64,
    /// Nothing had to be compiled and the image was already there.
    pub fresh: bool,
}

/// Builds the appliance in the crate folder `path` into a sealed image.
///
/// Cargo's progress and diagnostics go to standard error as they come. The build has a target directory of its own
/// (`ringwall` inside cargo's), so it never disturbs, or waits for, ordinary builds of the same crate.
///
/// # Errors
/// [`BuildError`], in the order of the steps: the folder is no crate, the binary is not clear, cargo is missing or fails, or
/// the linked file is not an appliance.
pub fn build(path: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let package = package::find(path, options)?;
    let compiled = cargo::build(&package, options)?;
    let folder = package.build_directory.join("images");
    let placed = seal::place(&compiled.linked, &folder, &package.bin)?;
    Ok(Built {
        image: placed.image,
        symbols: placed.symbols,
        bin: package.bin,
        image_bytes: placed.image_bytes,
        fresh: compiled.fresh && !placed.changed,
    })
}

#[cfg(test)]
mod tests;
