//! Image files, whole and in part.

use std::fmt::Debug;
use std::ops::Range;

use hvcall::manifest::DeviceKind;
use hvcall::{BootInfo, Manifest, Wire as _};

use super::bytes::Bytes;
use crate::address::PAGE_BYTES;
use crate::audit::audit as audited;
use crate::fuzz::model::Violation;
use crate::fuzz::rng::Rng;
use crate::image::Image;
use crate::layout::content::Content;
use crate::layout::{Gate, LayoutError, Plan};

mod sample;

/// Names of variants and fields of an enum's value as a number, without what is in the fields: one feature for each way to be refused.
fn variant(value: &impl Debug) -> u32 {
    let text = format!("{value:?}");
    // Every second piece is a text in quotes, and may be the input's.
    number(text.split('"').step_by(2).flat_map(str::bytes).filter(u8::is_ascii_alphabetic))
}

fn number(letters: impl Iterator<Item = u8>) -> u32 {
    letters.fold(0, |hash: u32, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

/// Parses an image, and checks what must hold of one that is accepted, up to its memory.
fn accept(bytes: &[u8]) -> Result<u32, Violation> {
    let image = match Image::parse(bytes.to_vec()) {
        Ok(image) => image,
        Err(error) => return Ok(variant(&error)),
    };
    let mut end = 0;
    for segment in &image.segments {
        if segment.memory.start < end || segment.file.len() as u64 > segment.memory.end - segment.memory.start
        {
            return Err(Violation::new("segments", format!("accepted: {:?}", image.segments)));
        }
        end = segment.memory.end;
    }
    let mut rng = Rng::new(1);
    let plan = match Plan::new(&image, image.manifest.memory_bytes, &mut || Ok(rng.next())) {
        Ok(plan) => plan,
        Err(LayoutError::Memory { .. }) => return Ok(1),
        Err(error) => return Err(Violation::new("plan", error.to_string())),
    };
    let overlap = |one: &crate::layout::Region, other: &crate::layout::Region| {
        one.gva < other.end() && other.gva < one.end()
    };
    for (position, region) in plan.regions.iter().enumerate() {
        if plan.regions[..position].iter().any(|other| overlap(region, other)) {
            return Err(Violation::new("plan", format!("regions overlap: {region:x?}")));
        }
    }
    if image.manifest.memory_bytes > 64 << 20 {
        return Ok(2);
    }
    let content = Content::new(&image, &plan, &Gate::PORT, &BootInfo::default(), &[]);
    let pieces = content.read_only.len() + content.writable.len();
    Ok(0x100 + u32::try_from(pieces).unwrap_or(0))
}

pub(super) fn image() -> Bytes {
    let words: &[&[u8]] = &[b"Ringwall\0", b"\x7fELF", &[0; 8], &[0xff; 8], &[1, 0, 0, 0, 5, 0, 0, 0]];
    Bytes::new(vec![sample::file().bytes], words, accept)
}

pub(super) fn audit() -> Bytes {
    let words: &[&[u8]] = &[
        b"\x0f\x05",
        b"\x0f\x01\xc1",
        b"\xcd\x80",
        b"\x0f\x22\xd8",
        b"\xe6\x7e",
        b"\x0f\x34",
        b"Ringwall\0",
        &[0xff; 8],
    ];
    // One in eight is whole: the gate is a page of code, which takes longer than all else.
    let mut seeds = vec![sample::without_gate(); 7];
    seeds.push(sample::file().bytes);
    Bytes::new(seeds, words, |input| {
        let report = audited(input, None);
        if report.passed
            && let Err(error) = Image::parse(input.to_vec())
        {
            return Err(Violation::new("audit", format!("passed, and the loader refuses: {error}")));
        }
        let failed = report.failures().map(|check| number(check.name.bytes()));
        Ok(failed.fold(0, |all, one| all ^ one))
    })
}

/// A part of the sample image is the input; the rest stays right.
fn part(range: Range<usize>, words: &'static [&'static [u8]]) -> Bytes {
    let whole = sample::file().bytes;
    let seed = whole[range.clone()].to_vec();
    Bytes::new(vec![seed], words, move |input| {
        let mut bytes = whole.clone();
        let len = input.len().min(range.len());
        bytes[range.start..range.start + len].copy_from_slice(&input[..len]);
        accept(&bytes)
    })
}

pub(super) fn note() -> Bytes {
    part(sample::file().notes, &[b"Ringwall\0", b"\x09\0\0\0", &[0xff; 4]])
}

pub(super) fn relocation() -> Bytes {
    part(
        sample::file().dynamic,
        &[&[8, 0, 0, 0, 0, 0, 0, 0], &[0xff; 8], &[0, 0x40], &[24, 0, 0, 0, 0, 0, 0, 0]],
    )
}

pub(super) fn manifest() -> Bytes {
    let manifest = Manifest::new("sample", "1.0", 1 << 20, 1 << 16, 0, &["lan"], &["data"]);
    let mut seed = vec![0; Manifest::SIZE_BYTES];
    manifest.write(&mut seed);
    Bytes::new(vec![seed], &[b"lan", b"data", &[0; 32], &[0xff; 8], &[b'x'; 32]], |input| {
        let mut bytes = vec![0; Manifest::SIZE_BYTES];
        let len = input.len().min(bytes.len());
        bytes[..len].copy_from_slice(&input[..len]);
        let manifest = Manifest::read(&bytes);
        let checked = manifest.check();
        let devices: usize = [DeviceKind::Nic, DeviceKind::Disk]
            .into_iter()
            .map(|kind| manifest.devices_of(kind).map(|device| device.name().len().min(1)).sum::<usize>())
            .sum();
        let texts = manifest.name().len() + manifest.version().len();
        let Err(error) = checked else {
            let bounded = manifest.memory_bytes.is_multiple_of(PAGE_BYTES)
                && manifest.stack_bytes.is_multiple_of(PAGE_BYTES)
                && manifest.device_count <= 16;
            if !bounded || texts < 2 {
                return Err(Violation::new("manifest", format!("accepted: {manifest:?}")));
            }
            return Ok(0x1000 + u32::try_from(devices).unwrap_or(0));
        };
        Ok(variant(&error))
    })
}
