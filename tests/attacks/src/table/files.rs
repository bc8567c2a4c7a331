//! Section 4 and part of section 6: hostile images, and files that are no images or disks.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use ::tests::{App, ImageFile, Ringwall, Run, spoiled};
use loader::image::Image;
use rustix::fs::{CWD, Mode, mkfifoat, symlinkat};

use crate::case::{Case, Expected, Got, all, case};
use crate::host::Host;

const NO_LAB: &str = "the loader refuses before it has asked the host for anything";
/// Seconds in which a file must be refused.
const LIMIT_S: &str = "20";

/// Makes a file in a folder, and names it.
type Maker = fn(&Path) -> Result<String, std::io::Error>;

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = image_files();
    cases.extend(changed_images());
    cases.extend(disks());
    cases.extend(command_lines());
    cases
}

fn refused(code: &'static [&'static str]) -> Expected {
    all(code).not_lab(NO_LAB)
}

/// Exit code of a program that must have said why in one line.
pub(super) fn in_one_line(run: &Run) -> Got {
    let line = run.stderr.strip_suffix('\n').unwrap_or_default();
    if line.starts_with("ringwall: ") && !line.contains('\n') && run.stdout.is_empty() {
        Ok(format!("exit {}, one line", run.code))
    } else {
        Err(format!("O1: exit {}, not one line: {}{}", run.code, run.stdout, run.stderr))
    }
}

fn image_files() -> Vec<Case> {
    let files: [(u32, &str, Maker); 9] = [
        (171, "image-that-is-empty", |folder| write(folder, &[])),
        (171, "image-of-63-bytes", |folder| write(folder, &good()[..63])),
        (171, "image-cut-in-half", |folder| write(folder, &good()[..good().len() / 2])),
        (196, "image-that-is-a-fifo", |folder| {
            mkfifoat(CWD, folder.join("x.img"), Mode::from_raw_mode(0o600))?;
            Ok(folder.join("x.img").display().to_string())
        }),
        (196, "image-that-is-a-device", |_| Ok("/dev/zero".to_owned())),
        (196, "image-that-is-this-memory", |_| Ok("/proc/self/mem".to_owned())),
        (196, "image-that-is-sparse-and-huge", |folder| {
            File::create(folder.join("x.img"))?.set_len(1 << 42)?;
            Ok(folder.join("x.img").display().to_string())
        }),
        (196, "image-that-links-to-itself", |folder| {
            symlinkat(folder.join("x.img"), CWD, folder.join("x.img"))?;
            Ok(folder.join("x.img").display().to_string())
        }),
        (198, "image-with-a-million-bytes-behind", |folder| {
            let mut bytes = vec![0; 1 << 20];
            bytes[..4].copy_from_slice(b"\x7fELF");
            write(folder, &bytes)
        }),
    ];
    files
        .into_iter()
        .map(|(row, label, maker)| {
            case(
                row,
                label,
                refused(&["exit 65, one line", "exit 64, one line", "exit 69, one line"]),
                move |host| {
                    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
                    let path = maker(folder.path()).map_err(|error| error.to_string())?;
                    in_one_line(&run_image(host, Path::new(&path)))
                },
            )
        })
        .collect()
}

fn changed_images() -> Vec<Case> {
    const REFUSED: &[&str] = &["exit 65, one line"];
    vec![
        case(171, "image-cut-at-every-byte", refused(&["all refused"]), |_| every_prefix()),
        case(172, "image-with-every-byte-of-its-headers-changed", refused(&["all refused or whole"]), |_| {
            every_header_byte()
        }),
        case(173, "image-for-another-machine", refused(REFUSED), |host| changed(host, 18, &[0xb7, 0])),
        case(172, "image-of-32-bits", refused(REFUSED), |host| changed(host, 4, &[1])),
        case(172, "image-of-the-other-byte-order", refused(REFUSED), |host| changed(host, 5, &[2])),
        case(175, "program-headers-beyond-the-end", refused(REFUSED), |host| changed(host, 32, &[0xff; 8])),
        case(175, "program-headers-that-wrap", refused(REFUSED), |host| {
            changed(host, 32, &(u64::MAX - 55).to_le_bytes())
        }),
        case(175, "65535-program-headers", refused(REFUSED), |host| changed(host, 56, &[0xff, 0xff])),
        case(184, "entry-at-0", refused(REFUSED), |host| changed(host, 24, &[0; 8])),
        case(184, "entry-that-is-not-canonical", refused(REFUSED), |host| {
            changed(host, 24, &(1_u64 << 63).to_le_bytes())
        }),
        case(184, "entry-at-the-end-of-addresses", refused(REFUSED), |host| changed(host, 24, &[0xff; 8])),
        case(194, "section-headers-that-lead-nowhere", all(&["exit 0"]).not_lab(NO_LAB), |host| {
            // The loader never reads them.
            let bytes = ImageFile { bytes: good() }.with(40, &[0xff; 8]).with(58, &[0xff; 6]).bytes;
            ended(host, &bytes)
        }),
        case(181, "every-spoiled-image", refused(&["each as it must"]), every_spoiled),
    ]
}

fn good() -> Vec<u8> {
    ImageFile::of(App::Hello).bytes
}

fn write(folder: &Path, bytes: &[u8]) -> Result<String, std::io::Error> {
    std::fs::write(folder.join("x.img"), bytes)?;
    Ok(folder.join("x.img").display().to_string())
}

/// Runs an image under a limit: a file that is never at its end must not be read for ever.
fn run_image(host: Host, path: &Path) -> Run {
    let run = Ringwall::under(&["timeout", "-s", "KILL", LIMIT_S]).args(["run", "--time-limit", LIMIT_S]);
    run.image(host.backend(), path).run()
}

fn changed(host: Host, offset: usize, bytes: &[u8]) -> Got {
    let file = ImageFile { bytes: good() }.with(offset, bytes);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = write(folder.path(), &file.bytes).map_err(|error| error.to_string())?;
    in_one_line(&run_image(host, Path::new(&path)))
}

fn ended(host: Host, bytes: &[u8]) -> Got {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = write(folder.path(), bytes).map_err(|error| error.to_string())?;
    Ok(format!("exit {}", run_image(host, Path::new(&path)).code))
}

fn every_prefix() -> Got {
    let bytes = good();
    let accepted = (0..bytes.len()).find(|&size_bytes| Image::parse(bytes[..size_bytes].to_vec()).is_ok());
    Ok(accepted.map_or("all refused".to_owned(), |size_bytes| format!("{size_bytes} bytes are accepted")))
}

/// Each byte of the ELF header and the program headers takes eight other values. Whatever is accepted must have a manifest that checks.
fn every_header_byte() -> Got {
    let bytes = good();
    let headers = 64 + 56 * usize::from(bytes[56]);
    for at in 0..headers {
        for change in [0x01, 0x02, 0x04, 0x10, 0x40, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            if let Ok(image) = Image::parse(changed)
                && image.manifest.check().is_err()
            {
                return Ok(format!("byte {at} with {change:#x} is accepted with a bad manifest"));
            }
        }
    }
    Ok("all refused or whole".to_owned())
}

fn every_spoiled(host: Host) -> Got {
    let mut wrong = Vec::new();
    for image in spoiled::all() {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = write(folder.path(), &image.file.bytes).map_err(|error| error.to_string())?;
        let run = run_image(host, Path::new(&path));
        if !image.ending.fits(run.code) && run.code != 84 {
            wrong.push(format!("{}: exit {}", image.name, run.code));
        }
    }
    Ok(if wrong.is_empty() { "each as it must".to_owned() } else { wrong.join(", ") })
}

fn disks() -> Vec<Case> {
    let files: [(u32, &str, Maker); 8] = [
        (243, "disk-that-is-a-fifo", |folder| {
            mkfifoat(CWD, folder.join("x.img"), Mode::from_raw_mode(0o600))?;
            Ok(folder.join("x.img").display().to_string())
        }),
        (243, "disk-that-is-a-folder", |folder| Ok(folder.display().to_string())),
        (243, "disk-that-is-dev-null", |_| Ok("/dev/null".to_owned())),
        (243, "disk-that-is-dev-full", |_| Ok("/dev/full".to_owned())),
        (243, "disk-that-is-dev-zero", |_| Ok("/dev/zero".to_owned())),
        (243, "disk-that-is-empty", |folder| write(folder, &[])),
        (243, "disk-of-513-bytes", |folder| write(folder, &[0; 513])),
        (243, "disk-that-is-missing", |folder| Ok(folder.join("missing").display().to_string())),
    ];
    let one_line = refused(&["exit 64, one line", "exit 69, one line"]);
    files
        .into_iter()
        .map(|(row, label, maker)| {
            case(row, label, one_line, move |host| {
                let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
                let path = maker(folder.path()).map_err(|error| error.to_string())?;
                let run =
                    Ringwall::run_app(host.backend(), App::Disk).args(["--block", &format!("data={path}")]);
                in_one_line(&run.guest(&["write"]).run())
            })
        })
        .collect()
}

fn command_lines() -> Vec<Case> {
    let usage = refused(&["exit 64, one line"]);
    let options = |label: &'static str, row: u32, words: &'static [&'static str]| {
        case(row, label, usage, move |host| {
            in_one_line(&Ringwall::run_app(host.backend(), App::Hello).args(words).run())
        })
    };
    let long = |host: Host| {
        // More than a program may be given is the kernel's to refuse; this is more than an appliance may.
        let run = Ringwall::run_app(host.backend(), App::Hello).guest(&["x".repeat(100_000).as_str()]).run();
        in_one_line(&run)
    };
    let not_text = |host: Host| {
        let mut command = Command::new(Ringwall::program());
        let image = App::Hello.image();
        command.args(["run", "--backend", host.backend().name()]).arg(image).arg("--");
        command.arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe"));
        let output = command.output().map_err(|error| error.to_string())?;
        Ok(format!("exit {}", output.status.code().unwrap_or(-1)))
    };
    vec![
        options("memory-of-0", 202, &["--mem", "0"]),
        options("memory-of-a-page", 202, &["--mem", "4096"]),
        options("memory-of-no-whole-page", 202, &["--mem", "1048577"]),
        options("a-nic-that-nobody-asked-for", 193, &["--net", "user"]),
        options("a-disk-that-nobody-asked-for", 193, &["--block", "/etc/passwd"]),
        case(193, "a-disk-that-is-not-given", usage, |host| {
            in_one_line(&Ringwall::run_app(host.backend(), App::Disk).run())
        }),
        // The parser of the command line adds a hint.
        case(202, "memory-of-2-to-64", all(&["exit 64"]).not_lab(NO_LAB), |host| {
            let run =
                Ringwall::run_app(host.backend(), App::Hello).args(["--mem", "18446744073709551616"]).run();
            Ok(format!("exit {}", run.code))
        }),
        case(201, "arguments-that-are-too-long", usage, long),
        case(201, "arguments-that-are-no-text", all(&["exit 0", "exit 64"]).not_lab(NO_LAB), not_text),
    ]
}
