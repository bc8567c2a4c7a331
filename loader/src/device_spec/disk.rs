//! `--block [NAME=]FILE[,OPTION]...`: which file or device is a disk.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use super::is_device_name;

/// What an error shows.
const EXAMPLE: &str = "--block data=disk.img,ro,sector=4096";

/// A `--block` option.
///
/// What stands before the first `=` is the device's name if it can be one, else it belongs to the file: `data=disk.img`,
/// `disk.img`, `./a=b.img`. A comma in a file name is written `\,`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// The disk's name in the manifest, or `None` for the only one.
    pub name: Option<String>,
    /// The regular file or block device.
    pub file: PathBuf,
    /// `ro`: the guest may only read.
    pub read_only: bool,
    /// `sector=`: 512 or 4096 bytes. `None` is the block device's own, or 512 for a file.
    pub sector_bytes: Option<u32>,
}

/// Why a `--block` option is not understood. Every text ends with an example.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DiskSpecError {
    /// There is no file name.
    #[error("no file name in `{0}`; write for example {EXAMPLE}")]
    NoFile(String),
    /// An option of no known name.
    #[error(
        "`{0}` is not an option of --block; there are ro and sector=512 or 4096 (a comma in a file name is written \\,), for example {EXAMPLE}"
    )]
    UnknownOption(String),
    /// A sector size that is neither.
    #[error("sector={0} is wrong: it has to be 512 or 4096; write for example {EXAMPLE}")]
    Sector(String),
    /// An option came twice.
    #[error("option {0} is there twice; write for example {EXAMPLE}")]
    Repeated(&'static str),
}

impl FromStr for DiskSpec {
    type Err = DiskSpecError;

    fn from_str(text: &str) -> Result<Self, DiskSpecError> {
        let mut parts = split_at_commas(text).into_iter();
        let head = parts.next().unwrap_or_default();
        let (name, file) = match head.split_once('=') {
            Some((name, file)) if is_device_name(name) => (Some(name.to_owned()), file),
            _ => (None, head.as_str()),
        };
        if file.is_empty() {
            return Err(DiskSpecError::NoFile(text.to_owned()));
        }
        let mut spec = Self { name, file: PathBuf::from(file), read_only: false, sector_bytes: None };
        for part in parts {
            spec.apply(&part)?;
        }
        Ok(spec)
    }
}

impl DiskSpec {
    fn apply(&mut self, part: &str) -> Result<(), DiskSpecError> {
        match part.split_once('=') {
            None if part == "ro" => {
                let before = std::mem::replace(&mut self.read_only, true);
                if before { Err(DiskSpecError::Repeated("ro")) } else { Ok(()) }
            }
            Some(("sector", value)) => {
                let bytes = match value {
                    "512" => 512,
                    "4096" => 4096,
                    _ => return Err(DiskSpecError::Sector(value.to_owned())),
                };
                let before = self.sector_bytes.replace(bytes);
                if before.is_some() { Err(DiskSpecError::Repeated("sector=")) } else { Ok(()) }
            }
            _ => Err(DiskSpecError::UnknownOption(part.to_owned())),
        }
    }
}

/// Splits at commas, except those after a backslash, which lose it.
fn split_at_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ',' {
            parts.push(String::new());
            continue;
        }
        let escaped = if character == '\\' { characters.next_if_eq(&',') } else { None };
        if let Some(part) = parts.last_mut() {
            part.push(escaped.unwrap_or(character));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DiskSpec, DiskSpecError> {
        text.parse()
    }

    #[test]
    fn name_file_and_options_are_read() {
        assert_eq!(
            parse("data=/var/disk.img,ro,sector=4096"),
            Ok(DiskSpec {
                name: Some("data".to_owned()),
                file: PathBuf::from("/var/disk.img"),
                read_only: true,
                sector_bytes: Some(4096),
            })
        );
        let plain = parse("disk.img").unwrap();
        assert_eq!((plain.name, plain.read_only, plain.sector_bytes), (None, false, None));
    }

    #[test]
    fn file_names_may_hold_commas_equal_signs_and_backslashes() {
        assert_eq!(parse(r"data=a\,b=c.img,ro").unwrap().file, PathBuf::from("a,b=c.img"));
        assert_eq!(parse("./a=b.img").unwrap().file, PathBuf::from("./a=b.img"));
        assert_eq!(parse("./a=b.img").unwrap().name, None);
        assert_eq!(parse(r"data=a\b,ro").unwrap().file, PathBuf::from(r"a\b"));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "data=", ",ro", "data=,ro"] {
            assert_eq!(parse(text), Err(DiskSpecError::NoFile(text.to_owned())));
        }
        for option in ["", "rw", "RO", "ro=1", "sector", "cache=none"] {
            let error = parse(&format!("data=f,{option}")).unwrap_err();
            assert_eq!(error, DiskSpecError::UnknownOption(option.to_owned()));
        }
        for sector in ["", "0", "1024", "0512", "512 "] {
            let error = parse(&format!("data=f,sector={sector}")).unwrap_err();
            assert_eq!(error, DiskSpecError::Sector(sector.to_owned()));
        }
        assert_eq!(parse("f,ro,ro"), Err(DiskSpecError::Repeated("ro")));
        assert_eq!(parse("f,sector=512,sector=512"), Err(DiskSpecError::Repeated("sector=")));
    }
}
