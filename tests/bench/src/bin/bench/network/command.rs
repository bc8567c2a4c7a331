//! Programs of the host.

use std::process::Command;

use crate::Failure;

/// Runs a command line without quotes and gives what it printed.
pub(super) fn run(line: &str) -> Result<String, Failure> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output();
    let output = output.map_err(|error| format!("{program}: {error}; `scripts/ci setup` installs it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{line}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
