//! What can go wrong in a build.

use std::io;
use std::path::PathBuf;

use hvcall::ExitCode;
use thiserror::Error;

use crate::new::NewError;

/// Why there is no image.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The path has no `Cargo.toml`.
    #[error("cannot build {}: it is not a crate folder (no Cargo.toml in it); give the folder of an appliance crate, such as apps/hello", path.display())]
    NotACrate {
        /// The path as given.
        path: PathBuf,
    },
    /// The path is a workspace that is no package itself.
    #[error("cannot build {}: it is a workspace, not one crate; give the folder of one member", path.display())]
    Workspace {
        /// The path as given.
        path: PathBuf,
    },
    /// The link to the guest library, that `ringwall new` makes, cannot be made.
    #[error(transparent)]
    Library(#[from] NewError),
    /// Cargo could not be started.
    #[error("cannot start `{}`: {source}; install Rust from https://rustup.rs, or set CARGO to the program", program.display())]
    CargoMissing {
        /// The program that was tried.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Cargo does not accept the crate's `Cargo.toml`. Cargo has said why on standard error.
    #[error("cannot build {}: cargo rejects the crate (its message is above)", path.display())]
    Metadata {
        /// The crate folder.
        path: PathBuf,
    },
    /// Cargo's answer could not be understood.
    #[error("cannot build {}: cargo's machine-readable output is not understood ({source}); Rust 1.95 or newer is needed", path.display())]
    CargoOutput {
        /// The crate folder.
        path: PathBuf,
        /// Where it stopped making sense.
        source: io::Error,
    },
    /// The crate has no binary.
    #[error("cannot build {}: crate `{package}` has no binary; an appliance has a src/main.rs with `guest::appliance!`", path.display())]
    NoBinary {
        /// The crate folder.
        path: PathBuf,
        /// Name of the package.
        package: String,
    },
    /// The crate has several binaries and none was named.
    #[error("cannot build {}: crate `{package}` has several binaries ({}); choose one with --bin NAME", path.display(), names.join(", "))]
    SeveralBinaries {
        /// The crate folder.
        path: PathBuf,
        /// Name of the package.
        package: String,
        /// Their names.
        names: Vec<String>,
    },
    /// The named binary does not exist.
    #[error("cannot build {}: crate `{package}` has no binary `{bin}`; it has: {}", path.display(), names.join(", "))]
    NoSuchBinary {
        /// The crate folder.
        path: PathBuf,
        /// Name of the package.
        package: String,
        /// The name asked for.
        bin: String,
        /// The names there are.
        names: Vec<String>,
    },
    /// Cargo ended without success. The compiler has said why on standard error.
    #[error("cannot build `{bin}`: cargo failed (its messages are above)")]
    CargoFailed {
        /// Name of the binary.
        bin: String,
    },
    /// Cargo succeeded and named no executable.
    #[error("cannot build `{bin}`: cargo reports success but no executable")]
    NoExecutable {
        /// Name of the binary.
        bin: String,
    },
    /// The toolchain has no linker of its own, or rustc cannot be asked for it.
    #[error(
        "cannot link `{bin}`: {reason}; appliances are linked by the rust-lld of a toolchain from https://rustup.rs"
    )]
    NoLinker {
        /// Name of the binary.
        bin: String,
        /// What was tried.
        reason: String,
    },
    /// The compiled code is not what an image can be made of.
    #[error("cannot link `{bin}`: {source}")]
    Object {
        /// Name of the binary.
        bin: String,
        /// What is wrong with it.
        source: SealError,
    },
    /// The linker rejects the program, and has said why on standard error.
    #[error(
        "cannot link `{bin}`: the linker's messages are above; an image has no C library, so code that needs one cannot be in it"
    )]
    LinkFailed {
        /// Name of the binary.
        bin: String,
    },
    /// The linked file is not an appliance.
    #[error("cannot seal {}: {source}", linked.display())]
    Seal {
        /// The linked file.
        linked: PathBuf,
        /// What is wrong with it.
        source: SealError,
    },
    /// The image does not pass the audit.
    #[error("`{bin}` does not pass the audit: {}", failures.join("; "))]
    Audit {
        /// Name of the binary.
        bin: String,
        /// The checks that fail, with what was found.
        failures: Vec<String>,
    },
    /// There is no bill of materials for the image.
    #[error("cannot write the bill of materials of `{bin}`: cargo's description of its packages has gaps")]
    Materials {
        /// Name of the binary.
        bin: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl BuildError {
    /// Exit status of `ringwall` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotACrate { .. }
            | Self::Workspace { .. }
            | Self::SeveralBinaries { .. }
            | Self::NoSuchBinary { .. } => ExitCode::USAGE,
            Self::CargoMissing { .. }
            | Self::CargoOutput { .. }
            | Self::Materials { .. }
            | Self::NoLinker { .. } => ExitCode::UNAVAILABLE,
            Self::Metadata { .. }
            | Self::NoBinary { .. }
            | Self::CargoFailed { .. }
            | Self::NoExecutable { .. }
            | Self::Object { .. }
            | Self::LinkFailed { .. }
            | Self::Audit { .. }
            | Self::Seal { .. } => ExitCode::BAD_IMAGE,
            Self::Library(error) => error.exit_code(),
            Self::File { .. } => ExitCode::HOST_ERROR,
        }
    }
}

/// Why a linked file cannot become an image.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SealError {
    /// Not an ELF64 file for x86-64, or a broken one.
    #[error("it is not a well-formed ELF64 file: {0}")]
    Elf(object::read::Error),
    /// ELF, but not position-independent for this machine.
    #[error("it is ELF type {kind} for machine {machine}, not a position-independent x86-64 program")]
    Kind {
        /// `e_type`.
        kind: u16,
        /// `e_machine`.
        machine: u16,
    },
    /// It wants a dynamic linker.
    #[error("it asks for a dynamic linker; the linker did not honour -static-pie")]
    Interpreter,
    /// It has no entry point.
    #[error("it has no entry point; an appliance's main.rs has `guest::appliance!`")]
    NoEntry,
    /// It has no manifest note.
    #[error("it has no Ringwall manifest; an appliance's main.rs has `guest::appliance!`")]
    NoManifest,
    /// It has no GNU build id.
    #[error("it has no GNU build id; the linker did not honour --build-id")]
    NoBuildId,
    /// It has nothing to load, or what it has lies outside the file.
    #[error("its loadable segments or program headers are missing or lie outside the file")]
    Segments,
}
