//! Section 1, instructions with every parameter they can have, and what takes more than one instruction.

use ::tests::{App, TestMachine};
use loader::layout::{RegionKind, Slot};

use super::machines::{self, NO_MACHINE};
use crate::case::{Case, Got, all, case};
use crate::each::{Sweep, each, few, sample};
use crate::host::Host;
use crate::{guest, words};

/// The port gate's port.
const PORT: u64 = 0x7e;
/// Model-specific registers: where processors, KVM, Xen, Hyper-V and kvm-pvm have theirs.
const MSRS: [(u64, u64); 8] = [
    (0, 0x1000),
    (0x1000, 0x2000),
    (0xc000_0000, 0xc000_0200),
    (0xc001_0000, 0xc001_1100),
    (0x4000_0000, 0x4000_0200),
    (0x4b56_4d00, 0x4b56_4e00),
    (0xffff_ff00, 0xffff_ffff),
    (0x8000_0000, 0x8000_0100),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    [ports(), numbers(), selectors(), loops(), spoiled()].into_iter().flatten().collect()
}

fn ports() -> Vec<Case> {
    let every = |name: &'static str| move |host| each(host, name, sample(host, 0..=0xffff, &near_the_gate()));
    let some = |name: &'static str| move |host| each(host, name, few(host, 0..=0xffff, &near_the_gate()));
    let closed = all(&["#GP"]);
    vec![
        case(38, "in-8-every-port", closed.pvm(&["#GP; 0x7e: foreign exit"]), every("in-8")),
        case(38, "out-8-every-port", closed.pvm(&["#GP; 0x7e: foreign trap"]), every("out-8")),
        // Wider than the one port that is open, so closed by the bits of its neighbours.
        case(38, "in-16-ports", closed, some("in-16")),
        case(38, "in-32-ports", closed, some("in-32")),
        case(38, "out-16-ports", closed, some("out-16")),
        case(38, "out-32-ports", closed, some("out-32")),
        case(39, "outsb-ports", closed.pvm(&["#GP; 0x7e: foreign trap"]), some("outs-8")),
        case(39, "insb-ports", closed.pvm(&["#GP; 0x7e: foreign exit"]), some("ins-8")),
        case(39, "rep-insd-ports", closed, some("rep-ins-32")),
        case(39, "rep-outsd-ports", closed, some("rep-outs-32")),
    ]
}

/// Ports at both ends and around the gate's.
fn near_the_gate() -> Vec<u64> {
    (PORT - 8..PORT + 8)
        .chain([0, 1, 0x20, 0x60, 0x64, 0x70, 0x92, 0xb2, 0xcf8, 0xcf9, 0x8900, 0xfffe, 0xffff])
        .collect()
}

fn numbers() -> Vec<Case> {
    let msrs = |name: &'static str| {
        move |host| each(host, name, MSRS.iter().flat_map(|&(from, to)| sample(host, from..=to, &[from, to])))
    };
    let vectors = |host: Host| {
        let first = (0..32).chain([0x80, 0xec, 0xff]).collect::<Vec<u64>>();
        each(host, "int", if host.is_lab() { few(host, 32..=255, &first) } else { (0..=255).collect() })
    };
    let cpuid = |host: Host| {
        let basic = (0..0x40).chain(0x4000_0000..0x4000_0020).chain(0x8000_0000..0x8000_0030);
        each(host, "cpuid-leaf", basic.step_by(if host == Host::Pvm { 1 } else { 9 }))
    };
    vec![
        case(22, "rdmsr-every-index", all(&["#GP"]), msrs("rdmsr")),
        case(22, "wrmsr-every-index", all(&["#GP"]), msrs("wrmsr")),
        case(28, "cpuid-every-leaf", all(&["done"]), cpuid),
        case(
            51,
            "int-every-vector",
            all(&["#GP; 0x3: #BP; 0x4: #OF"])
                // kvm-pvm has entries of its own behind some vectors: 0x1a answers as CPUID does.
                .pvm(&["#UD; 0x3: #BP; 0x4: #OF; 0x17: #GP; 0x19: #GP; 0x1a: done"])
                .process(&["#GP; 0x3: #BP; 0x4: #OF; 0x80: foreign trap"]),
            vectors,
        ),
    ]
}

/// Selectors: all of a small table, the one in which Linux keeps the number of the CPU, and some of the rest.
fn chosen_selectors(host: Host) -> Vec<u64> {
    let first: Vec<u64> = (0..0x40).chain(0x78..0x7c).collect();
    few(host, 0x100..=0xffff, &first)
}

fn selectors() -> Vec<Case> {
    let chosen = |name: &'static str| move |host| each(host, name, chosen_selectors(host));
    // kvm-pvm and Linux have the host's segments where the machine has none: all of CPL 3. A 32-bit one leads below 4 GiB, where
    // nothing is mapped.
    let loads = all(&["#GP; 0x0..=0x3: done; 0x28..=0x2b: done; 0x30..=0x33: done"])
        .pvm(&["#GP; 0x0..=0x3: done; 0x28..=0x2b: done; 0x30..=0x33: done; 0x78..=0x7b: done"])
        .process(&[
            "#GP; 0x0..=0x3: done; 0x20..=0x23: done; 0x28..=0x2b: done; 0x30..=0x33: done; 0x78..=0x7b: done",
        ]);
    // kvm-pvm interprets far transfers and IRET, less than a processor does.
    let jumps = all(&["#GP; 0x30..=0x33: #PF"]).process(&["#GP; 0x20..=0x23: #PF; 0x30..=0x33: #PF"]).pvm(&[
        "#GP; 0x8..=0xb: #UD; 0x10..=0x13: #UD; 0x18..=0x1b: #UD; 0x20..=0x23: #UD; 0x30..=0x33: #PF",
    ]);
    let returns = all(&["#GP; 0x33: done"]);
    let twice = |host| {
        let fold = |()| guest::attack(host, &["selectors-fold"]);
        let (first, second) = (fold(())?, fold(())?);
        Ok(if first == second { "the same twice".to_owned() } else { format!("{first}, then {second}") })
    };
    vec![
        case(61, "selectors-ds", loads, chosen("load-selector-ds")),
        case(61, "selectors-es", loads, chosen("load-selector-es")),
        case(61, "selectors-fs", loads, chosen("load-selector-fs")),
        case(61, "selectors-gs", loads, chosen("load-selector-gs")),
        case(61, "selectors-ss", all(&["#GP; 0x2b: done"]), chosen("load-selector-ss")),
        // In a process one of them tells the number of the CPU.
        case(
            15,
            "selectors-tell-the-same-twice",
            all(&["the same twice"]).process(&["the same twice", "gives*"]),
            twice,
        ),
        case(57, "selectors-far-jump", jumps, chosen("far-jump-selector")),
        case(57, "selectors-far-call", jumps, chosen("far-call-selector")),
        case(58, "selectors-far-return", returns, chosen("far-return-selector")),
        case(
            50,
            "selectors-iretq-code",
            returns.pvm(&["#GP; 0x13: #NP; 0x1b: #NP; 0x23: #NP; 0x33: done"]),
            chosen("iretq-selector"),
        ),
        case(
            50,
            "selectors-iretq-stack",
            all(&["#GP; 0x2b: done"])
                .pvm(&["#GP; 0x10..=0x13: #SS; 0x18..=0x1b: #SS; 0x20..=0x23: #SS; 0x2b: done; 0x33: done"]),
            chosen("iretq-stack-selector"),
        ),
    ]
}

fn loops() -> Vec<Case> {
    let ends = |name: &'static str| move |host| guest::by_program(host, &["--time-limit", "0.3"], &[name]);
    let slow = "a loop is a loop on every host, and time limits are the parent's";
    let limit: &[&str] = &["time limit"];
    vec![
        case(
            44,
            "vmmcall-loop",
            all(limit).process(&["time limit", "#UD"]).not_lab(slow),
            ends("vmmcall-loop"),
        ),
        case(211, "rdtsc-loop", all(limit).not_lab(slow), ends("rdtsc-loop")),
        case(210, "endless-loop", all(limit).not_lab(slow), ends("loop")),
    ]
}

fn spoiled() -> Vec<Case> {
    let kvm = |outcomes| all(outcomes).not_process(NO_MACHINE);
    let stores: Vec<Case> = [
        ("write", "mov"),
        ("store-locked", "lock-inc"),
        ("store-exchange", "xchg"),
        ("store-sse", "movups"),
        ("store-non-temporal", "movntdq"),
        ("store-avx", "vmovdqu"),
        ("store-fxsave", "fxsave"),
        ("store-xsave", "xsave"),
        ("store-x87", "fnstenv"),
        ("store-cmpxchg16b", "cmpxchg16b"),
        ("store-string", "rep-stosq"),
        ("store-push", "push"),
        ("store-call", "call"),
        ("store-straddling", "straddling"),
        ("store-masked", "vpmaskmovd"),
    ]
    .into_iter()
    .map(|(name, label)| {
        // A page-table entry that wrongly lets CPL 3 write: the store meets the read-only slot, whatever stores.
        let attack = move |_| machines::store_past_the_page_table(name);
        case(78, &format!("{label}-past-a-spoiled-page-table"), kvm(&["foreign exit", "#UD"]), attack)
    })
    .collect();
    let mut cases = stores;
    cases.extend([
        case(75, "vector-state-at-entry", kvm(&["initial"]), |_| Ok(machines::vector_state())),
        case(76, "page-fault-without-fault-stack", kvm(&["#DF"]), |_| {
            machines::without_stacks(&[RegionKind::FaultStack])
        }),
        case(76, "page-fault-without-any-stack", kvm(&["triple fault"]), |_| {
            machines::without_stacks(&[RegionKind::FaultStack, RegionKind::DoubleFaultStack])
        }),
        case(
            77,
            "own-text-from-every-byte",
            all(&["each ends in a fault, a trap, a call or a loop"]),
            every_byte_of_text,
        ),
        case(80, "execute-what-is-not-executable", kvm(&["#PF"]), |host| pages(host, "call")),
    ]);
    cases
}

/// Jumps to every byte of the appliance's own text, in the middle of instructions too.
fn every_byte_of_text(host: Host) -> Got {
    let good = |outcome: &str| {
        let starts = ["#", "exit ", "gives "].iter().any(|start| outcome.starts_with(start));
        starts
            || matches!(
                outcome,
                "foreign trap"
                    | "foreign exit"
                    | "call"
                    | "loop"
                    | "done"
                    | "time limit"
                    | "panic"
                    | "bad exit"
            )
    };
    let outcomes = if host == Host::Process {
        text_of_process(host)?
    } else {
        let mut sweep = Sweep::new(TestMachine::new(App::Hello, &[]));
        let text = *sweep.machine().machine.plan.region(RegionKind::Text);
        let size_bytes = text_bytes(sweep.machine(), text.offset, text.size_bytes);
        sweep.start_at_each(starts(host, size_bytes).into_iter().map(|offset| text.gva.0 + offset))?;
        sweep.finish()?
    };
    let bad: Vec<_> = outcomes.iter().filter(|(_, outcome)| !good(outcome)).collect();
    Ok(if bad.is_empty() {
        format!("each ends in a fault, a trap, a call or a loop ({} values)", outcomes.len())
    } else {
        format!("{bad:x?}")
    })
}

/// Every byte; in a lab, which loops for longer, some.
fn starts(host: Host, size_bytes: u64) -> Vec<u64> {
    if host.is_lab() { few(host, 0..=size_bytes - 1, &[]) } else { (0..size_bytes).collect() }
}

/// Length of the text without the padding at its end.
fn text_bytes(machine: &TestMachine, offset: u64, size_bytes: u64) -> u64 {
    let sealed = machine.bytes_of(Slot::ReadOnly);
    let at = |number: u64| usize::try_from(number).unwrap_or(0);
    let text = &sealed[at(offset)..at(offset + size_bytes)];
    let padding = text.iter().rev().take_while(|&&byte| byte == 0 || byte == 0xcc).count();
    size_bytes - padding as u64
}

fn text_of_process(host: Host) -> Result<Vec<(u64, String)>, String> {
    let mut outcomes = Vec::new();
    for offset in sample(host, 0..=0x10000, &[]) {
        let place = format!("gate-{offset}");
        let run = guest::run(host, &["--time-limit", "0.2", "--grace", "0.1"], &["touch", "call", &place]);
        if matches!(run.code, 70 | 71) || run.stderr.contains("is a bug") {
            return Err(format!("O1: text at gate-{offset:#x}: exit {}: {}", run.code, run.stderr));
        }
        outcomes.push((offset, words::program(&run)));
    }
    Ok(outcomes)
}

/// Executes a page of each region that nobody may execute.
fn pages(host: Host, name: &str) -> Got {
    let mut sweep = Sweep::new(TestMachine::new(App::Attack, &["each", name]));
    let plan = &sweep.machine().machine.plan;
    let closed =
        plan.regions.iter().filter(|region| !matches!(region.kind, RegionKind::Text | RegionKind::Stubs));
    let pages: Vec<u64> = closed
        .flat_map(|region| (region.gva.0..region.end().0).step_by(4096))
        .step_by(if host.is_lab() { 16 } else { 1 })
        .collect();
    sweep.with_each(pages)?;
    Ok(words::tally(&sweep.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_hold_what_must_be_in_them() {
        let ports = sample(Host::Intel, 0..=0xffff, &near_the_gate());
        assert!(ports.contains(&PORT) && ports.contains(&0xffff) && ports.len() < 400);
        assert_eq!(sample(Host::Pvm, 0..=0xffff, &[7]).len(), 0x10000);
    }
}
