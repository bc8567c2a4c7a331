//! The image builder: a crate folder in, a sealed image and its symbol side file out.
//!
//! Cargo and rustc do the work; this module chooses the flags ([`flags`]), lets cargo talk to the person directly, and
//! *seals* what the linker made ([`seal()`]): everything that the machine will not load is cut off.
//!
//! ```text
//! crate folder --cargo metadata--> which binary, where to build      (package)
//!              --cargo build-----> one relocatable file               (cargo, flags)
//!              --rust-lld--------> linked ELF, functions shuffled     (link, order)
//!              --seal------------> images/NAME.img, images/NAME.debug (seal)
//!              --audit-----------> or no image                        (crate::audit)
//!              --report----------> images/NAME.json                   (report, sizes, origin)
//!              --bill of materials-> images/NAME.cdx.json             (sbom)
//! ```
//! Image and side file carry the same GNU build id, which is how [`crate::symbols`] knows that they belong together. The report
//! knows both by their digests: as long as it is true, a build that compiles nothing links nothing either.

mod cargo;
mod error;
mod flags;
mod link;
mod order;
mod origin;
mod package;
mod report;
mod sbom;
mod seal;
mod sizes;
mod toolchain;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use error::{BuildError, SealError};
pub(crate) use flags::TARGET as RUST_TARGET;
pub use order::Seed;
pub(crate) use package::cargo_program;
pub use report::{Audit, Compiler, File, Flags, Report};
pub use seal::seal;
pub use sizes::{Code, Segment};

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
    /// The order of functions.
    pub seed: Seed,
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
    /// The build report, `target/ringwall/images/NAME.json`.
    pub report: PathBuf,
    /// The bill of materials, `target/ringwall/images/NAME.cdx.json`.
    pub materials: PathBuf,
    /// The seed of the order of functions.
    pub seed: u64,
    /// The image was already there.
    pub fresh: bool,
    /// The image has passed the audit. `false`: the crate's `Cargo.toml` turns it off.
    pub audited: bool,
}

/// Builds the appliance in the crate folder `path` into a sealed image.
///
/// Cargo's progress and diagnostics go to standard error as they come. The build has a target directory of its own
/// (`ringwall` inside cargo's), so it never disturbs, or waits for, ordinary builds of the same crate.
///
/// # Errors
/// [`BuildError`], in the order of the steps: the folder is no crate, the binary is not clear, cargo is missing or fails, the
/// linker is missing or fails, the linked file is not an appliance, or the image does not pass the audit.
pub fn build(path: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let package = package::find(path, options)?;
    let compiled = cargo::build(&package, options)?;
    let object = fs::read(&compiled.object).map_err(file_error("read", &compiled.object))?;
    let folder = package.build_directory.join("images");
    let file = |extension: &str| folder.join(format!("{}.{extension}", package.bin));
    let (image, symbols, report, materials) = (file("img"), file("debug"), file("json"), file("cdx.json"));
    let built = |image_bytes, seed, fresh| Built {
        image: image.clone(),
        symbols: symbols.clone(),
        bin: package.bin.clone(),
        image_bytes,
        report: report.clone(),
        materials: materials.clone(),
        seed,
        fresh,
        audited: package.audited,
    };

    let object_file = File::of(&object);
    let earlier = Report::read(&report)
        .filter(|_| materials.is_file())
        .filter(|report| report.is_true_of(&object_file, package.audited, &image, &symbols));
    let seed = match (options.seed, &earlier) {
        (Seed::Fixed(seed), _) => seed,
        (Seed::Keep, Some(earlier)) => earlier.seed,
        (Seed::Keep, None) | (Seed::Random, _) => {
            order::random().map_err(file_error("read", Path::new("/dev/urandom")))?
        }
    };
    if let Some(earlier) = earlier.filter(|earlier| earlier.seed == seed) {
        return Ok(built(earlier.image.bytes, seed, true));
    }

    let toolchain = toolchain::find(&package.folder, &package.bin)?;
    let linked = link::link(&toolchain, &object, &folder, &package.bin, seed)?;
    let sealed = seal::Sealed::read(&linked.0)?;
    let audit = audit(&sealed, &package)?;
    sealed.place(&linked.0, &folder, &package.bin)?;
    let made = Report {
        format: Report::FORMAT,
        name: package.name.clone(),
        version: package.version.clone(),
        seed,
        ringwall: env!("CARGO_PKG_VERSION").to_owned(),
        toolchain: Compiler::from(&toolchain),
        flags: Flags::current(),
        image: File::of(&sealed.image),
        symbols: File::of(&sealed.symbols),
        object: object_file,
        segments: sizes::segments(&sealed.image).unwrap_or_default(),
        audit,
        code: sizes::code(&sealed.symbols, &package.origins(&toolchain)),
    };
    let document = sbom::document(&package.metadata, &package.id, &compiled.packages, &made)
        .ok_or_else(|| BuildError::Materials { bin: package.bin.clone() })?;
    seal::replace(&materials, |temporary| fs::write(temporary, &document))?;
    seal::replace(&report, |temporary| fs::write(temporary, made.to_json()))?;
    Ok(built(made.image.bytes, seed, false))
}

/// Audits what was built, unless the crate says that it breaks on purpose.
fn audit(sealed: &seal::Sealed, package: &package::Appliance) -> Result<Option<Audit>, BuildError> {
    if !package.audited {
        return Ok(None);
    }
    let found = crate::audit::audit(&sealed.image, Some(&sealed.symbols));
    if found.passed {
        return Ok(Some(Audit { passed: true, checks: found.checks.len() }));
    }
    let failures = found.failures().map(|check| format!("{} ({})", check.name, check.evidence)).collect();
    Err(BuildError::Audit { bin: package.bin.clone(), failures })
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::File { action, path, source }
}

#[cfg(test)]
mod tests;
