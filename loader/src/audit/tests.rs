//! A whole image by hand, small enough to be cut and changed at every byte.

use hvcall::note::ManifestNote;
use hvcall::{Manifest, Wire as _};

use super::{Report, audit};

const GATE: u64 = 0x2000;
const ENTRY: u64 = 0x3000;
/// `sub rsp, 0x18; rdtsc; add rsp, 0x18; ret`.
const CODE: &[u8] = &[0x48, 0x83, 0xec, 0x18, 0x0f, 0x31, 0x48, 0x83, 0xc4, 0x18, 0xc3];

/// Program header: type, flags, offset, address, bytes.
fn header(kind: u32, flags: u32, offset: u64, size_bytes: u64) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
    for word in [offset, offset, offset, size_bytes, size_bytes, 4] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// An image with `code` at its entry point.
fn image(code: &[u8]) -> Vec<u8> {
    let mut notes = Vec::new();
    let manifest = Manifest::new("tiny", "1", 1 << 20, 1 << 16, 7, &["net"], &[]);
    let _layout = ManifestNote::new(manifest);
    notes.extend(
        [9_u32, u32::try_from(Manifest::SIZE_BYTES).unwrap(), 1].iter().flat_map(|word| word.to_le_bytes()),
    );
    notes.extend(b"Ringwall\0\0\0\0");
    let mut content = vec![0; Manifest::SIZE_BYTES];
    manifest.write(&mut content);
    notes.extend(content);
    notes.extend([9_u32, 8, 2].iter().flat_map(|word| word.to_le_bytes()));
    notes.extend(b"Ringwall\0\0\0\0");
    let place = 64 + 4 * 56 + notes.len() as u64;
    notes.extend((GATE - place).to_le_bytes());

    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for word in [ENTRY, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"\0\0\0\0\x40\0\x38\0\x04\0\x40\0\0\0\0\0");
    let headers_end = 64 + 4 * 56 + notes.len() as u64;
    bytes.extend(header(1, 4, 0, headers_end));
    bytes.extend(header(1, 5, GATE, 4096 + code.len() as u64));
    bytes.extend(header(0x6474_e551, 6, 0, 0));
    bytes.extend(header(4, 4, 64 + 4 * 56, notes.len() as u64));
    bytes.extend(notes);
    bytes.resize(0x2000, 0);
    bytes.extend(hvcall::gate::page());
    bytes.extend(code);
    bytes
}

#[track_caller]
fn fails(report: &Report, name: &str, reason: &str) {
    let check = report.checks.iter().find(|check| check.name == name).unwrap();
    assert!(!check.passed && check.evidence.contains(reason), "{name}: wanted {reason:?}, found {check:?}");
    assert!(!report.passed);
}

#[test]
fn good_image_passes_every_check() {
    let report = audit(&image(CODE), None);
    assert!(report.passed, "{report}");
    assert_eq!(report.appliance.as_deref(), Some("tiny 1"));
    assert_eq!(report.build_seed, Some(7));
    let looks: Vec<_> =
        report.host_looks.iter().map(|look| (look.instruction.as_str(), look.address)).collect();
    assert_eq!(looks, [("rdtsc", ENTRY + 4)]);
}

#[test]
fn json_has_the_promised_form() {
    let json = audit(&image(CODE), None).to_json();
    assert_eq!(json["passed"], true);
    for check in json["checks"].as_array().unwrap() {
        assert!(check["name"].is_string() && check["passed"].is_boolean());
        assert!(check["evidence"].is_string() && check["why"].is_string());
    }
}

#[test]
fn frames_beyond_the_guard_and_frames_without_a_bound_fail() {
    // sub rsp, 0x7fffffff; ret
    fails(&audit(&image(b"\x48\x81\xec\xff\xff\xff\x7f\xc3"), None), "stack-clash", "2147483647 bytes");
    // lea rsp, [rsp - 0x7fffffff]; ret
    fails(&audit(&image(b"\x48\x8d\xa4\x24\x01\0\0\x80\xc3"), None), "stack-clash", "2147483647 bytes");
    // sub rsp, rax; ret
    fails(&audit(&image(b"\x48\x29\xc4\xc3"), None), "stack-clash", "without a bound: sub at 0x3000");
}

#[test]
fn instructions_are_hidden_until_they_are_in_order() {
    // mov eax, 0xc3050f; ret
    let report = audit(&image(b"\xb8\x0f\x05\xc3\x00\xc3"), None);
    assert!(report.passed, "{report}");
    let hidden: Vec<_> = report.hidden.iter().map(|hidden| (hidden.kind, hidden.count)).collect();
    assert_eq!(hidden, [(super::Hazard::Syscall, 1)]);
    fails(&audit(&image(b"\x0f\x05\xc3"), None), "instructions", "syscall at 0x3000");
}

#[test]
fn what_is_no_instruction_fails() {
    fails(&audit(&image(b"\x06\xc3"), None), "decoding", "1 places are no instruction: 0x3000");
    fails(&audit(&image(b"\x90\xe8"), None), "decoding", "0x3001");
}

#[test]
fn bytes_that_are_no_elf_file_are_said_to_be_none() {
    for (bytes, reason) in [
        (&b""[..], "no ELF file: the file is empty"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "no ELF file: it begins with \"root:x:0:0:root:\""),
        (b"\x7fELF", "class 0"),
        (b"\x7fELF\x02\x01\x01", "no ELF file"),
    ] {
        fails(&audit(bytes, None), "elf-header", reason);
    }
}

#[test]
fn no_shorter_file_passes_or_panics() {
    let bytes = image(CODE);
    let described = 64 + 4 * 56 + 24 + Manifest::SIZE_BYTES + 32;
    for size_bytes in (0..described)
        .chain((described..bytes.len()).step_by(61))
        .chain(bytes.len() - CODE.len()..bytes.len())
    {
        assert!(!audit(&bytes[..size_bytes], Some(&bytes[..size_bytes])).passed, "{size_bytes} bytes");
    }
}

#[test]
fn no_changed_byte_panics() {
    let original = image(CODE);
    let described = 64 + 4 * 56 + 24 + Manifest::SIZE_BYTES + 32;
    for at in (0..described).chain(0x2000..0x2010).chain(0x3000..original.len()) {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = original.clone();
            bytes[at] ^= change;
            let _ = audit(&bytes, Some(&original)).to_string();
        }
    }
}

#[test]
fn no_bytes_at_all_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let original = image(CODE);
    for _ in 0..500 {
        let mut bytes = original.clone();
        // Mostly in what describes the rest.
        for _ in 0..=random() % 16 {
            let at = usize::try_from(random()).unwrap()
                % if random() % 4 == 0 { bytes.len() } else { 64 + 4 * 56 };
            bytes[at] = if random() % 3 == 0 { 0xff } else { random().to_le_bytes()[0] };
        }
        let _ = audit(&bytes, Some(&bytes)).to_string();
    }
}
#[test]
fn seed_of_zero_is_the_compilers_order() {
    let seed = 64 + 4 * 56 + 24 + core::mem::offset_of!(Manifest, build_seed);
    let mut bytes = image(CODE);
    assert_eq!(bytes[seed], 7);
    bytes[seed] = 0;
    fails(&audit(&bytes, None), "function-order", "seed 0");
}
