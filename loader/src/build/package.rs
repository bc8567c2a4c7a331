//! What there is to build: the package in a folder, its binary, and where its build goes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{Metadata, Package, PackageId, TargetKind};

use super::flags::{PathMap, TARGET, tool_home};
use super::origin::Origins;
use super::toolchain::Toolchain;
use super::{BuildError, BuildOptions};

/// The binary to build.
#[derive(Clone, Debug)]
pub(super) struct Appliance {
    /// The crate folder, absolute.
    pub(super) folder: PathBuf,
    /// Name of the binary.
    pub(super) bin: String,
    /// Name of the package.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// Its images have to pass the audit: always, but for crates whose `package.metadata.ringwall` says `audit = false`.
    pub(super) audited: bool,
    /// The package.
    pub(super) id: PackageId,
    /// What cargo knows.
    pub(super) metadata: Metadata,
    /// Cargo's target directory for images.
    pub(super) build_directory: PathBuf,
    /// Folders whose names must not be in the image.
    pub(super) paths: PathMap,
}

/// The cargo to use: `CARGO` where it is set (cargo sets it for what it runs), else the one on the path.
pub(crate) fn cargo_program() -> PathBuf {
    std::env::var_os("CARGO")
        .filter(|program| !program.is_empty())
        .map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Finds the appliance in `path`.
pub(super) fn find(path: &Path, options: &BuildOptions) -> Result<Appliance, BuildError> {
    let manifest = path.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BuildError::NotACrate { path: path.to_owned() });
    }
    let folder = path.canonicalize().map_err(|source| BuildError::File {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    crate::new::prepare(&folder)?;
    let metadata = metadata(path, &folder, options)?;
    let manifest = folder.join("Cargo.toml");
    let package = metadata
        .packages
        .iter()
        .find(|package| package.manifest_path.canonicalize().is_ok_and(|found| found == manifest))
        .ok_or_else(|| BuildError::Workspace { path: path.to_owned() })?;
    let bin = choose_bin(path, package, options.bin.as_deref())?;
    Ok(Appliance {
        bin,
        id: package.id.clone(),
        name: package.name.to_string(),
        version: package.version.to_string(),
        audited: package.metadata["ringwall"]["audit"] != false,
        build_directory: metadata.target_directory.join("ringwall").into_std_path_buf(),
        paths: path_map(&metadata),
        folder,
        metadata,
    })
}

impl Appliance {
    /// Where source files come from.
    pub(super) fn origins(&self, toolchain: &Toolchain) -> Origins {
        Origins::new(&self.metadata, &self.paths, &toolchain.release)
    }
}

fn metadata(path: &Path, folder: &Path, options: &BuildOptions) -> Result<Metadata, BuildError> {
    let program = cargo_program();
    let mut command = Command::new(&program);
    command.args(["metadata", "--format-version", "1", "--filter-platform", TARGET]);
    command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    add_choices(&mut command, options);
    let output = command.output().map_err(|source| BuildError::CargoMissing { program, source })?;
    if !output.status.success() {
        return Err(BuildError::Metadata { path: path.to_owned() });
    }
    let not_understood = |source| BuildError::CargoOutput { path: path.to_owned(), source };
    serde_json::from_slice(&output.stdout).map_err(|error| not_understood(error.into()))
}

/// Adds what a person chose about features, network and lock file, the same for every cargo command.
pub(super) fn add_choices(command: &mut Command, options: &BuildOptions) {
    if !options.features.is_empty() {
        command.arg("--features").arg(options.features.join(","));
    }
    let switches = [
        ("--no-default-features", options.no_default_features),
        ("--offline", options.offline),
        ("--locked", options.locked),
    ];
    command.args(switches.iter().filter(|(_, chosen)| *chosen).map(|(switch, _)| switch));
}

fn choose_bin(path: &Path, package: &Package, asked: Option<&str>) -> Result<String, BuildError> {
    let is_bin = |target: &&cargo_metadata::Target| target.kind.contains(&TargetKind::Bin);
    let names: Vec<String> =
        package.targets.iter().filter(is_bin).map(|target| target.name.clone()).collect();
    let (path, package_name) = (path.to_owned(), package.name.to_string());
    if let Some(bin) = asked {
        return if names.iter().any(|name| name == bin) {
            Ok(bin.to_owned())
        } else {
            Err(BuildError::NoSuchBinary { path, package: package_name, bin: bin.to_owned(), names })
        };
    }
    match (names.as_slice(), &package.default_run) {
        ([], _) => Err(BuildError::NoBinary { path, package: package_name }),
        ([only], _) => Ok(only.clone()),
        (_, Some(default)) if names.contains(default) => Ok(default.clone()),
        _ => Err(BuildError::SeveralBinaries { path, package: package_name, names }),
    }
}

/// Paths inside a program come from its workspace, from path dependencies, from registries and from the toolchain's sources.
fn path_map(metadata: &Metadata) -> PathMap {
    let mut paths = PathMap::default();
    for package in metadata.packages.iter().filter(|package| package.source.is_none()) {
        if let Some(folder) = package.manifest_path.parent() {
            paths.add(folder, package.name.as_str());
        }
    }
    // What lies in the workspace keeps its place in it: `apps/web/src/main.rs`.
    for member in metadata.packages.iter().filter(|package| package.source.is_none()) {
        if let Some(folder) = member.manifest_path.parent()
            && let Ok(place) = folder.strip_prefix(&metadata.workspace_root)
        {
            paths.add(folder, place.as_str());
        }
    }
    paths.add(&metadata.workspace_root, "");
    if let Some(home) = tool_home("CARGO_HOME", ".cargo") {
        paths.add(home.join("registry/src"), "crates");
        paths.add(home.join("git/checkouts"), "git");
        paths.add(home, "cargo");
    }
    if let Some(home) = tool_home("RUSTUP_HOME", ".rustup") {
        paths.add(home, "rust");
    }
    paths
}
