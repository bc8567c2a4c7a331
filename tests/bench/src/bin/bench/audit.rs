//! The auditor on an image of 10 MB, nearly all of it code.

use std::process::{Command, Stdio};
use std::time::Instant;

use bench::result::Comparison;
use bench::statistics::median;

use crate::Failure;

/// Bytes of code: those of `web`, over and over.
const TEXT_BYTES: usize = 10_000_000;
/// What one audit may take.
const LIMIT_MS: f64 = 1000.0;

/// Times `ringwall audit`, from exec to exit. The reference is the limit, not another program.
pub(crate) fn measure(rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let folder = std::env::temp_dir().join(format!("ringwall-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("large.img");
    std::fs::write(&path, enlarged(&std::fs::read(crate::image("web")?)?)?)?;
    let ringwall = crate::beside("ringwall")?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        let status = Command::new(&ringwall).arg("audit").arg(&path).stdout(Stdio::null()).status()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // Segments overlap, so it cannot pass; anything else means that it was not audited.
        if status.code() != Some(65) {
            return Err(format!("ringwall audit ended with {status}").into());
        }
    }
    std::fs::remove_dir_all(&folder)?;
    let ours = median(&mut times);
    Ok(vec![Comparison {
        name: "audit of an image with 10 MB of code, limit",
        unit: "ms",
        ours,
        reference: LIMIT_MS,
        ratio: ours / LIMIT_MS,
    }])
}

/// The image with its text repeated behind its end, as one executable segment in place of the old one. It overlaps the data that
/// follows, which the audit reports and which costs it nothing.
fn enlarged(image: &[u8]) -> Result<Vec<u8>, Failure> {
    let word =
        |at: usize| image.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let headers = (0..usize::from(image[56])).map(|number| 64 + 56 * number);
    let mut text = headers.filter(|&at| image.get(at..at + 8) == Some(b"\x01\0\0\0\x05\0\0\0"));
    let header = text.next().ok_or("the image has no text")?;
    let (offset, size) = (word(header + 8).unwrap_or(0), word(header + 32).unwrap_or(0));
    let code = usize::try_from(offset).ok().zip(usize::try_from(offset + size).ok());
    let code = code.and_then(|(start, end)| image.get(start..end)).ok_or("the image's text is cut short")?;
    let mut bytes = image.to_vec();
    bytes.resize(image.len().next_multiple_of(4096), 0);
    let place = bytes.len() as u64;
    bytes.extend(code.iter().cycle().take(TEXT_BYTES));
    for (field, value) in [(8, place), (32, TEXT_BYTES as u64), (40, TEXT_BYTES as u64)] {
        bytes[header + field..][..8].copy_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}
