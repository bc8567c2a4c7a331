use std::fs;
use std::os::unix::fs::MetadataExt;

use object::Object;
use object::read::elf::ElfFile64;

use super::*;
use crate::symbols::sample_elf::{LOADABLE_BYTES, Sample};

#[test]
fn the_image_ends_with_its_last_loadable_byte_and_has_no_sections() {
    let linked = Sample::default().bytes();
    let image = seal(&linked).unwrap();
    assert_eq!(image.len() as u64, LOADABLE_BYTES);
    let before = ElfFile64::<LittleEndian>::parse(linked.as_slice()).unwrap();
    let after = ElfFile64::<LittleEndian>::parse(image.as_slice()).unwrap();
    assert_eq!((before.sections().count(), before.symbols().count()), (4, 1));
    assert_eq!((after.sections().count(), after.symbols().count()), (0, 0));
    // Nothing else changed: the same program headers, entry, notes and content.
    assert_eq!(image[..40], linked[..40]);
    assert_eq!(image[48..60], linked[48..60]);
    assert_eq!(image[64..], linked[64..image.len()]);
    assert_eq!(build_id(&image).unwrap(), Some([0xab; 20].as_slice()));
}

#[test]
fn sealing_twice_changes_nothing() {
    let image = seal(&Sample::default().bytes()).unwrap();
    assert_eq!(seal(&image).unwrap(), image);
}

#[test]
fn what_is_no_appliance_is_refused_with_its_reason() {
    let refused = |sample: Sample| seal(&sample.bytes()).unwrap_err();
    let good = Sample::default();
    assert_eq!(
        refused(Sample { kind: object::elf::ET_EXEC, ..good.clone() }),
        SealError::Kind { kind: 2, machine: 62 }
    );
    assert_eq!(refused(Sample { interpreter: true, ..good.clone() }), SealError::Interpreter);
    assert_eq!(refused(Sample { entry: 0, ..good.clone() }), SealError::NoEntry);
    assert_eq!(refused(Sample { manifest: false, ..good.clone() }), SealError::NoManifest);
    assert_eq!(refused(Sample { build_id: None, ..good.clone() }), SealError::NoBuildId);
    assert_eq!(refused(Sample { loaded_bytes: 1 << 40, ..good.clone() }), SealError::Segments);
    assert_eq!(refused(Sample { loaded_bytes: u64::MAX, ..good }), SealError::Segments);
    assert!(matches!(seal(b""), Err(SealError::Elf(_))));
    assert!(matches!(seal(b"#!/bin/sh\n"), Err(SealError::Elf(_))));
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let linked = Sample::default().bytes();
    for length in 0..usize::try_from(LOADABLE_BYTES).unwrap() {
        assert!(seal(&linked[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn placing_writes_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let linked = folder.path().join("linked");
    let images = folder.path().join("images");
    fs::write(&linked, Sample::default().bytes()).unwrap();

    let put = || {
        let sealed = Sealed::read(&linked).unwrap();
        sealed.place(&linked, &images, "sample").unwrap();
        sealed
    };
    let first = put();
    assert_eq!(first.image.len() as u64, LOADABLE_BYTES);
    let image = images.join("sample.img");
    let inode = fs::metadata(&image).unwrap().ino();
    put();
    assert_eq!(fs::metadata(&image).unwrap().ino(), inode);

    fs::remove_file(&linked).unwrap();
    fs::write(&linked, Sample { build_id: Some([1; 20]), ..Sample::default() }.bytes()).unwrap();
    let other = put();
    assert_ne!(other.image, first.image);
    let (image, symbols) = (fs::read(&image).unwrap(), fs::read(images.join("sample.debug")).unwrap());
    assert_eq!((&image, &symbols), (&other.image, &other.symbols));
    assert_eq!(build_id(&image).unwrap(), build_id(&symbols).unwrap());
    let names: Vec<_> = fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "leftovers: {names:?}");
}
