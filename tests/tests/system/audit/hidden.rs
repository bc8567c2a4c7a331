//! What hides inside other instructions, counted a second time by another disassembler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use loader::audit::{Hazard, audit};
use tests::image_file::{Field, PT_LOAD};
use tests::{App, ImageFile};

/// Each offset's bytes get a slot of their own: the longest instruction, and enough of `nop` to be in step again at the next.
const SLOT: usize = 32;
const LONGEST: usize = 15;

/// Prefixes, which objdump prints as words of their own.
const PREFIXES: &[&str] = &[
    "rep", "repz", "repnz", "repe", "repne", "lock", "data16", "addr32", "cs", "ds", "es", "ss", "fs", "gs",
    "bnd", "notrack", "xacquire", "xrelease",
];

/// objdump's name for each kind, without the letter for an operand's size.
const NAMES: &[(Hazard, &[&str])] = &[
    (Hazard::Vmcall, &["vmcall"]),
    (Hazard::Vmmcall, &["vmmcall", "vmgexit"]),
    (Hazard::Syscall, &["syscall"]),
    (Hazard::Sysenter, &["sysenter"]),
    (Hazard::SoftwareInterrupt, &["int", "int1", "icebp"]),
    (Hazard::PortIo, &["in", "out", "insb", "insw", "insl", "outsb", "outsw", "outsl"]),
    (Hazard::Halt, &["hlt", "cli", "sti"]),
    (Hazard::ControlRegister, &["clts", "lmsw"]),
    (Hazard::DescriptorLoad, &["lgdt", "lidt", "lldt", "ltr"]),
    (Hazard::DescriptorStore, &["sgdt", "sidt", "sldt", "str", "smsw"]),
    (
        Hazard::Msr,
        &["rdmsr", "wrmsr", "rdpmc", "xsetbv", "swapgs", "rdpru", "rdmsrlist", "wrmsrlist", "wrmsrns"],
    ),
    (Hazard::Cache, &["invd", "wbinvd", "wbnoinvd", "invlpg", "invlpga", "invpcid", "invlpgb", "tlbsync"]),
    (
        Hazard::KernelReturn,
        &["iret", "iretq", "iretw", "sysret", "sysretl", "sysretq", "sysexit", "sysexitl", "sysexitq", "rsm"],
    ),
    (Hazard::FarTransfer, &["lret", "lretq", "lretw", "ljmp", "lcall"]),
    (Hazard::SegmentLoad, &["lss", "lfs", "lgs"]),
    (Hazard::SegmentBase, &["wrfsbase", "wrgsbase"]),
    (Hazard::ProtectionKey, &["rdpkru", "wrpkru"]),
    (Hazard::ExtendedState, &["xrstor", "xrstor64", "xrstors", "xrstors64", "xsaves", "xsaves64"]),
    (
        Hazard::Virtualisation,
        &[
            "vmxon", "vmxoff", "vmlaunch", "vmresume", "vmread", "vmwrite", "vmptrld", "vmptrst", "vmclear",
            "vmfunc", "vmrun", "vmload", "vmsave", "stgi", "clgi", "skinit", "invept", "invvpid",
        ],
    ),
    (
        Hazard::TrustedExecution,
        &[
            "encls",
            "enclu",
            "enclv",
            "getsec",
            "seamcall",
            "tdcall",
            "pconfig",
            "rmpadjust",
            "enqcmd",
            "enqcmds",
        ],
    ),
    (Hazard::UserInterrupt, &["senduipi", "clui", "stui", "testui", "uiret"]),
    (
        Hazard::ShadowStack,
        &[
            "wrssd",
            "wrssq",
            "wrussd",
            "wrussq",
            "setssbsy",
            "clrssbsy",
            "rstorssp",
            "saveprevssp",
            "incsspd",
            "incsspq",
            "stac",
            "clac",
        ],
    ),
    (Hazard::Waiting, &["monitor", "mwait", "monitorx", "mwaitx", "umonitor", "umwait", "tpause"]),
];

/// Disassembles a file of raw bytes, or an ELF file: address and instruction.
fn disassemble(arguments: &[&str], file: &Path) -> Option<Vec<(u64, String)>> {
    let mut command = Command::new("objdump");
    command.args(["--no-show-raw-insn", "--wide"]).args(arguments).arg(file);
    let output = command.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (address, instruction) = line.split_once(":\t")?;
        Some((u64::from_str_radix(address.trim(), 16).ok()?, instruction.trim().to_owned()))
    };
    Some(text.lines().filter_map(line).collect())
}

/// Splits an instruction from its prefixes. Nothing may be left of it.
fn split(instruction: &str) -> (Vec<&str>, &str) {
    let (mut prefixes, mut rest) = (Vec::new(), instruction);
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if !(PREFIXES.contains(&word) || word.starts_with("rex")) {
            return (prefixes, rest);
        }
        prefixes.push(word);
        rest = after.trim_start();
    }
}

/// Whether an instruction does not exist with these prefixes, which objdump prints all the same (SDM Vol. 2, LOCK, and the `NP` in
/// the opcode tables of the newer instructions).
fn is_forbidden(prefixes: &[&str], kind: Hazard, instruction: &str) -> bool {
    let newer = matches!(
        kind,
        Hazard::Vmcall
            | Hazard::Virtualisation
            | Hazard::TrustedExecution
            | Hazard::ExtendedState
            | Hazard::Waiting
    );
    let distinguishing = ["rep", "repz", "repnz", "data16"];
    prefixes.contains(&"lock")
        || (newer || instruction == "xsetbv") && prefixes.iter().any(|prefix| distinguishing.contains(prefix))
}

fn kind(instruction: &str) -> Option<Hazard> {
    let (name, operands) = instruction.split_once(' ').unwrap_or((instruction, ""));
    // Comments behind addresses, such as `# 0x1234`.
    let operands = operands.split('#').next().unwrap_or_default().trim();
    // Registers that do not exist have names for objdump; for a processor and for the audit they are no instruction.
    let control = |operand: &str| {
        let number = |prefix| operand.strip_prefix(prefix).and_then(|digits: &str| digits.parse::<u8>().ok());
        number("%cr").is_some_and(|number| [0, 2, 3, 4, 8].contains(&number))
            || number("%db").is_some_and(|number| number < 8)
    };
    if name.starts_with("mov") && operands.split(',').any(control) {
        return Some(Hazard::ControlRegister);
    }
    let segments = ["%ds", "%es", "%ss", "%fs", "%gs"];
    if name.starts_with("mov") && segments.iter().any(|segment| operands.ends_with(&format!(",{segment}"))) {
        return Some(Hazard::SegmentLoad);
    }
    if name.starts_with("pop") && segments.contains(&operands) {
        return Some(Hazard::SegmentLoad);
    }
    let sized = name.strip_suffix(['w', 'l', 'q']).unwrap_or(name);
    NAMES.iter().find(|(_, names)| names.contains(&name) || names.contains(&sized)).map(|(kind, _)| *kind)
}

/// Counts hazards of each kind at offsets of the text where no instruction begins.
fn counted_by_objdump(app: App, folder: &Path) -> Option<BTreeMap<Hazard, u64>> {
    let image = ImageFile::of(app);
    let field = |field| image.header_field(PT_LOAD, Some(5), field);
    let (offset, size) =
        (usize::try_from(field(Field::Offset)).unwrap(), usize::try_from(field(Field::FileSize)).unwrap());
    let text = &image.bytes[offset..][..size];
    let starts = disassemble(&["--disassemble", "--disassemble-zeroes"], app.symbols())?;
    let starts: BTreeSet<u64> = starts.into_iter().map(|(address, _)| address).collect();

    let mut slots = Vec::with_capacity(size * SLOT);
    let hidden: Vec<usize> =
        (0..size).filter(|&at| !starts.contains(&(field(Field::Address) + at as u64))).collect();
    for &at in &hidden {
        let mut slot = [0x90; SLOT];
        let bytes = &text[at..size.min(at + LONGEST)];
        slot[..bytes.len()].copy_from_slice(bytes);
        slots.extend(slot);
    }
    let path = folder.join("slots");
    std::fs::write(&path, slots).unwrap();
    let lines = disassemble(
        &["--disassemble-all", "--disassemble-zeroes", "--target=binary", "--architecture=i386:x86-64"],
        &path,
    )?;

    let mut counts = BTreeMap::new();
    let mut seen = 0;
    let mut complete = true;
    for (address, instruction) in lines {
        let begins = address.is_multiple_of(SLOT as u64);
        seen += usize::from(begins);
        // A line of prefixes alone goes on in the next.
        if !begins && complete {
            continue;
        }
        let (prefixes, instruction) = split(&instruction);
        complete = !instruction.is_empty();
        if let Some(kind) = kind(instruction).filter(|kind| !is_forbidden(&prefixes, *kind, instruction)) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(seen, hidden.len(), "objdump was out of step");
    Some(counts)
}

#[test]
fn hidden_instructions_are_as_many_as_objdump_finds() {
    let folder = tempfile::tempdir().unwrap();
    for app in [App::Hello, App::Disk, App::Web] {
        let Some(expected) = counted_by_objdump(app, folder.path()) else {
            return tests::skip("there is no objdump");
        };
        let read = |path| std::fs::read(path).unwrap();
        let report = audit(&read(app.image()), Some(&read(app.symbols())));
        let found: BTreeMap<Hazard, u64> =
            report.hidden.iter().map(|hidden| (hidden.kind, hidden.count)).collect();
        assert!(found.values().sum::<u64>() > 100);
        assert_eq!(found, expected, "{}", app.name());
    }
}
