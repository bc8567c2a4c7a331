//! Files that are not ours: a truthful report, whatever they are.

use std::path::Path;
use std::process::Command;

use loader::audit::{Report, audit};

/// Fails unless a check fails with this evidence.
#[track_caller]
fn says(report: &Report, name: &str, evidence: &str) {
    let check = report.checks.iter().find(|check| check.name == name);
    let found = check.is_some_and(|check| !check.passed && check.evidence.contains(evidence));
    assert!(found, "{name} does not say {evidence:?}:\n{report}");
    assert!(!report.passed);
}

/// A program that is linked dynamically, if this host has one.
fn program() -> Option<Vec<u8>> {
    std::fs::read("/bin/true").ok().filter(|bytes| bytes.starts_with(b"\x7fELF"))
}

/// What a tool makes of assembly; `None` where there is no such tool.
fn made(folder: &Path, commands: &[&[&str]]) -> Option<Vec<u8>> {
    let source = ".globl _start\n.text\n_start: nop\n int $0x80\n";
    std::fs::write(folder.join("a.s"), source).unwrap();
    for command in commands {
        let status = Command::new(command[0]).args(&command[1..]).current_dir(folder).status().ok()?;
        assert!(status.success(), "{command:?}");
    }
    Some(std::fs::read(folder.join("out")).unwrap())
}

#[test]
fn ordinary_program_is_described_as_it_is() {
    let Some(bytes) = program() else { return tests::skip("there is no /bin/true") };
    let report = audit(&bytes, None);
    let readelf = Command::new("readelf").args(["-lW", "/bin/true"]).output();
    says(&report, "interpreter", "PT_INTERP asks for \"/lib64/ld-linux-x86-64.so.2\"");
    says(&report, "shared-libraries", "DT_NEEDED");
    says(&report, "manifest", "this is not a Ringwall appliance");
    says(&report, "gate", "no note says where it is");
    let passes = |name: &str| report.checks.iter().any(|check| check.name == name && check.passed);
    assert!(passes("write-xor-execute") && passes("elf-header"), "{report}");
    if let Ok(readelf) = readelf {
        let text = String::from_utf8_lossy(&readelf.stdout).into_owned();
        assert_eq!(
            passes("stack"),
            text.lines().any(|line| line.contains("GNU_STACK") && line.contains(" RW "))
        );
    }
}

#[test]
fn object_file_has_nothing_to_load() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bytes) = made(folder.path(), &[&["as", "-o", "out", "a.s"]]) else {
        return tests::skip("there is no assembler");
    };
    let report = audit(&bytes, None);
    says(&report, "elf-header", "64-bit, little-endian, x86-64, an object file that was never linked");
    says(&report, "segments", "no loadable segment");
    says(&report, "instructions", "no executable bytes");
}

#[test]
fn program_of_32_bits_is_decoded_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 2] =
        [&["as", "--32", "-o", "a.o", "a.s"], &["ld", "-m", "elf_i386", "-o", "out", "a.o"]];
    let Some(bytes) = made(folder.path(), &commands) else {
        return tests::skip("there is no assembler or no linker");
    };
    let report = audit(&bytes, None);
    says(&report, "elf-header", "32-bit, little-endian, 80386, a program at fixed addresses");
    says(&report, "instructions", "int at");
    let entry = report.checks.iter().find(|check| check.name == "entry").unwrap();
    assert!(entry.passed, "{report}");
}

#[test]
fn core_dump_is_called_one() {
    // Header of a core dump with 65,534 program headers, of which none is in the file; then with three that are.
    let mut bytes = vec![0_u8; 64 + 3 * 56];
    bytes[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0");
    bytes[32] = 64;
    bytes[52..58].copy_from_slice(b"\x40\0\x38\0\xfe\xff");
    says(&audit(&bytes, None), "elf-header", "a core dump; program headers:");
    bytes[56..58].copy_from_slice(&[3, 0]);
    says(&audit(&bytes, None), "elf-header", "x86-64, a core dump");
}

#[test]
fn text_file_is_no_elf_file() {
    let report = audit(b"root:x:0:0:root:/root:/bin/sh\n", None);
    says(&report, "elf-header", "no ELF file: it begins with \"root:x:0:0:root");
    assert_eq!(report.checks.len(), 1);
}

#[test]
fn this_very_test_program_gets_a_report() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let report = audit(&bytes[..bytes.len().min(4 << 20)], None);
    assert!(!report.passed);
}
