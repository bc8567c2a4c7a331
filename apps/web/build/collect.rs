//! The files of a directory.

use std::error::Error;
use std::path::Path;

use crate::Files;

/// Every file below `root`. Names that begin with a dot are left out, except `.well-known`.
pub(crate) fn directory(root: &Path) -> Result<Files, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Files::new();
    descend(root, "", &mut files)
        .map_err(|error| format!("cannot read the site at {}: {error}", root.display()))?;
    if files.is_empty() {
        return Err(format!("the site at {} has no files", root.display()).into());
    }
    Ok(files)
}

fn descend(directory: &Path, prefix: &str, files: &mut Files) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| format!("{} is not UTF-8", entry.path().display()))?;
        if name.starts_with('.') && name != ".well-known" {
            continue;
        }
        let path = format!("{prefix}{name}");
        // A link to a file is that file. A link to a directory could lead in circles, and is refused.
        if entry.file_type()?.is_dir() {
            descend(&entry.path(), &format!("{path}/"), files)?;
        } else if entry.path().is_file() {
            files.insert(path, std::fs::read(entry.path())?);
        } else {
            return Err(format!("{} is neither a file nor a directory", entry.path().display()).into());
        }
    }
    Ok(())
}
