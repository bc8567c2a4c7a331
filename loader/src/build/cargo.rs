//! Running `cargo build` and reading which file it made.

use std::collections::HashSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{Message, PackageId, TargetKind};

use super::flags::{self, HOT, TARGET};
use super::package::{Appliance, add_choices, cargo_program};
use super::{BuildError, BuildOptions};

/// What cargo made.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    /// All code and data of the appliance in one relocatable file, symbols included.
    pub(super) object: PathBuf,
    /// The packages that were compiled, now or before, for the image or on the way to it.
    pub(super) packages: HashSet<PackageId>,
}

/// Compiles the appliance. Progress and diagnostics go straight to standard error.
pub(super) fn build(appliance: &Appliance, options: &BuildOptions) -> Result<Compiled, BuildError> {
    let program = cargo_program();
    let mut child = command(&program, appliance, options)
        .spawn()
        .map_err(|source| BuildError::CargoMissing { program, source })?;
    let mut object = None;
    let mut packages = HashSet::new();
    let mut broken = None;
    if let Some(output) = child.stdout.take() {
        for message in Message::parse_stream(BufReader::new(output)) {
            match message {
                Ok(Message::CompilerArtifact(artifact)) => {
                    packages.insert(artifact.package_id.clone());
                    if artifact.target.name != appliance.bin
                        || !artifact.target.kind.contains(&TargetKind::Bin)
                    {
                        continue;
                    }
                    object = artifact.executable.map(cargo_metadata::camino::Utf8PathBuf::into_std_path_buf);
                }
                Ok(_) => {}
                Err(error) => {
                    broken.get_or_insert(error);
                }
            }
        }
    }
    let status = child.wait().map_err(|source| BuildError::File {
        action: "wait for",
        path: cargo_program(),
        source,
    })?;
    if !status.success() {
        return Err(BuildError::CargoFailed { bin: appliance.bin.clone() });
    }
    if let Some(source) = broken {
        return Err(BuildError::CargoOutput { path: appliance.folder.clone(), source });
    }
    let object = object.ok_or_else(|| BuildError::NoExecutable { bin: appliance.bin.clone() })?;
    Ok(Compiled { object, packages })
}

fn command(program: &Path, appliance: &Appliance, options: &BuildOptions) -> Command {
    let mut command = Command::new(program);
    command.args(["build", "--release", "--message-format=json-render-diagnostics"]);
    command.args(["--target", TARGET, "--bin", &appliance.bin]);
    command.arg("--target-dir").arg(&appliance.build_directory);
    command.current_dir(&appliance.folder).stdin(Stdio::null()).stdout(Stdio::piped());
    if options.quiet {
        command.arg("--quiet");
    }
    add_choices(&mut command, options);
    command.envs(flags::profile());
    command.args(HOT.iter().flat_map(|setting| ["--config", setting]));
    command.env("CARGO_ENCODED_RUSTFLAGS", flags::encoded(&appliance.paths));
    // Flags that a person set for ordinary builds are not this build's; cargo would prefer the encoded ones anyway.
    command.env_remove("RUSTFLAGS");
    command
}
