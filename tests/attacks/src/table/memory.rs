//! Section 2: the memory layout.

use ::tests::{App, TestMachine};
use loader::image::Permission;
use loader::layout::{Region, RegionKind, Slot};

use super::machines::{self, NO_MACHINE};
use crate::case::{Case, Expected, Got, all, case};
use crate::each::{Sweep, each};
use crate::host::Host;
use crate::{guest, words};

const PF: &[&str] = &["#PF"];
const NO_LAB: &str = "the numbers come from the host and not from the processor";
const DONE: &[&str] = &["done"];
const GP: &[&str] = &["#GP"];

/// Row, access, place.
const TOUCHES: &[(u32, &str, &str, Expected)] = &[
    (81, "write", "text", all(PF)),
    (81, "write", "gate", all(PF)),
    (81, "store-string", "text-64", all(PF)),
    (82, "write", "constant", all(PF)),
    (82, "write", "boot", all(PF)),
    (82, "store-locked", "boot+8", all(PF)),
    (83, "call", "data", all(PF)),
    (83, "call", "zeros", all(PF)),
    (83, "call", "heap", all(PF)),
    (83, "return-to", "heap+0x1000", all(PF)),
    (84, "call", "local", all(PF)),
    (84, "call", "stack", all(PF)),
    (85, "call", "constant", all(PF)),
    (86, "call", "boot", all(PF)),
    (87, "read", "0", all(PF)),
    (87, "write", "0", all(PF)),
    (87, "call", "0", all(PF)),
    (87, "stack-to", "0x1000", all(PF)),
    // A frame that jumps the guard lands where nothing is mapped: the next region is at least 1 GiB away.
    (89, "write", "stack-8", all(PF)),
    (89, "write", "stack-0x10000", all(PF)),
    (89, "write", "stack-0x100000", all(PF)),
    (89, "write", "stack-0x3fffff00", all(PF)),
    (89, "stack-to", "stack-0x100000", all(PF)),
    (92, "read", "heap-8", all(PF)),
    (92, "read", "heap_end", all(PF)),
    (92, "write", "heap_end", all(PF)),
    (92, "read", "heap_end-8", all(DONE)),
    (92, "read", "heap_end-4", all(PF)),
    (92, "read", "stack_end", all(PF)),
    (92, "store-exchange", "stack_end-4", all(PF)),
    (99, "read", "0xffff800000000000", all(PF)),
    (99, "read", "0xffff888000000000", all(PF)),
    (99, "read", "0xffffc90000000000", all(PF)),
    (99, "write", "0xffffffff81000000", all(PF)),
    (99, "call", "0xffffffff81000000", all(PF)),
    (99, "read", "0xfffffe0000000000", all(PF)),
    (99, "read", "0x7ffffffff000", all(PF)),
    (100, "read", "0x800000000000", all(GP)),
    (100, "write", "0x800000000000", all(GP)),
    (100, "write", "0xffff7fffffffffff", all(GP)),
    (100, "call", "0x800000000000", all(GP)),
    (100, "return-to", "0x800000000000", all(GP)),
    // TCG raises the other exception.
    (100, "stack-to", "0x800000001000", all(&["#SS"]).amd(&["#SS", "#GP"])),
    (101, "call", "0xffffffffff600400", all(PF).process(&["#PF", "foreign trap"])),
    (112, "scan-for-non-zero", "heap+0x8000", all(&["gives 0x0"])),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let touch = |&(row, how, place, expected): &(u32, &'static str, &'static str, Expected)| {
        case(row, &format!("{how}-{place}"), expected, move |host| {
            guest::attack(host, &["touch", how, place])
        })
    };
    let mut cases: Vec<Case> = TOUCHES.iter().map(touch).collect();
    let low = |name: &'static str| {
        move |host| each(host, name, (0..0x10000).step_by(if host == Host::Process { 0x1000 } else { 0x400 }))
    };
    let kvm = |outcomes| all(outcomes).not_process(NO_MACHINE);
    cases.extend([
        case(87, "read-first-64-kib", all(PF), low("read")),
        case(87, "write-first-64-kib", all(PF), low("write")),
        case(87, "call-first-64-kib", all(PF), low("call")),
        case(88, "stack-overflow", all(&["#PF, called a stack overflow"]), stack_overflow),
        case(93, "read-descriptors", kvm(PF), |_| of_region("read", RegionKind::Descriptors)),
        case(94, "write-descriptors", kvm(PF), |_| of_region("write-same", RegionKind::Descriptors)),
        case(95, "execute-descriptors", kvm(PF), |_| of_region("call", RegionKind::Descriptors)),
        case(74, "clflush-descriptors", kvm(PF).amd(&["#PF", "done"]), |_| {
            of_region("clflush", RegionKind::Descriptors)
        }),
        case(74, "prefetch-descriptors", kvm(DONE), |_| of_region("prefetch-write", RegionKind::Descriptors)),
        case(94, "write-stubs", kvm(PF), |_| of_region("write-same", RegionKind::Stubs)),
        case(95, "execute-fault-stack", kvm(PF), |_| of_region("call", RegionKind::FaultStack)),
        case(95, "execute-double-fault-stack", kvm(PF), |_| of_region("call", RegionKind::DoubleFaultStack)),
        // A forged report: evidence is whatever the guest makes of it, and its end.
        case(95, "jump-to-a-stub", kvm(&["#DE"]), |_| of_region("call", RegionKind::Stubs)),
        case(96, "read-tables-at-their-physical-address", kvm(PF), |host| tables(host, "read")),
        case(96, "write-tables-at-their-physical-address", kvm(PF), |host| tables(host, "write-same")),
        case(97, "every-page-allows-what-the-plan-says", kvm(&["as planned"]), every_page),
        case(97, "nothing-between-the-regions", kvm(PF), between),
        case(98, "no-frame-has-two-addresses", kvm(&["none"]), |_| aliases()),
        case(106, "reserved-bit-in-a-page-table", kvm(PF), |_| {
            machines::spoiled_entry(|entry| entry | 1 << 51)
        }),
        // An address in no slot: what would be a device elsewhere.
        case(107, "page-of-no-slot", kvm(&["foreign exit"]), |_| {
            machines::spoiled_entry(|entry| entry & !0x000f_ffff_ffff_f000 | 0xfee0_0000)
        }),
        case(107, "page-of-the-first-megabyte", kvm(&["foreign exit"]), |_| {
            machines::spoiled_entry(|entry| entry & !0x000f_ffff_ffff_f000 | 0xb_8000)
        }),
        case(
            108,
            "page-tables-outside-memory",
            kvm(&["triple fault"]).intel(&["triple fault", "foreign exit"]).not_amd(
                "KVM looks for such tables for ever; only a monitor could put CR3 there, and no guest",
            ),
            |_| machines::with_root(0x7_0000_0000),
        ),
        case(301, "calls-by-the-port-gate", kvm(&["gives 0x0"]), machines::through_the_port),
        case(116, "layouts-of-64-boots", kvm(&["no base twice"]).not_lab(NO_LAB), |_| layouts()),
    ]);
    cases
}

fn stack_overflow(host: Host) -> Got {
    let run = ::tests::Ringwall::run_app(host.backend(), App::Crash).guest(&["stack"]).run();
    guest::check(&run)?;
    let named = if run.stderr.contains("stack overflow") { ", called a stack overflow" } else { "" };
    Ok(words::program(&run) + named)
}

fn of_region(name: &str, kind: RegionKind) -> Got {
    let mut sweep = Sweep::new(TestMachine::new(App::Attack, &["each", name]));
    let address = sweep.machine().machine.plan.region(kind).gva.0;
    sweep.with_each([address])?;
    Ok(sweep.finish()?.into_iter().map(|(_, outcome)| outcome).collect())
}

/// The guest-physical addresses of all slots, as if they were virtual ones.
fn tables(host: Host, name: &str) -> Got {
    let pages = Slot::ALL.iter().flat_map(|slot| (0..32).map(|page| slot.base().0 + page * 4096));
    each(host, name, pages)
}

/// Reads, writes and calls every page of every region.
fn every_page(host: Host) -> Got {
    let mut wrong = Vec::new();
    for (name, allowed) in [
        ("read", (|region| region.user) as fn(&Region) -> bool),
        ("write-same", |region| region.user && region.permission == Permission::ReadWrite),
    ] {
        let mut sweep = Sweep::new(TestMachine::new(App::Attack, &["each", name]));
        let step = if host.is_lab() { 8 } else { 1 };
        let regions = sweep.machine().machine.plan.regions.clone();
        let pages = regions.iter().flat_map(|region| {
            (region.gva.0..region.end().0).step_by(4096).step_by(step).map(move |page| (page, region))
        });
        let expected: Vec<(u64, bool)> =
            pages.map(|(page, region)| (page + 0x800, allowed(region))).collect();
        sweep.with_each(expected.iter().map(|(address, _)| *address))?;
        let found = sweep.finish()?;
        wrong.extend(expected.iter().zip(&found).filter_map(|((address, allowed), (_, outcome))| {
            let good = if *allowed { outcome == "done" } else { outcome == "#PF" };
            (!good).then(|| format!("{name} {address:#x}: {outcome}"))
        }));
    }
    Ok(if wrong.is_empty() { "as planned".to_owned() } else { wrong.join(", ") })
}

/// Reads next to every region, and one page in each of many places all over the lower half.
fn between(host: Host) -> Got {
    let mut sweep = Sweep::new(TestMachine::new(App::Attack, &["each", "read"]));
    let plan = sweep.machine().machine.plan.clone();
    let mapped =
        |address: u64| plan.regions.iter().any(|region| (region.gva.0..region.end().0).contains(&address));
    let beside = plan.regions.iter().flat_map(|region| {
        [
            region.gva.0 - 8,
            region.gva.0 - 4096,
            region.gva.0 - (2 << 20),
            region.end().0,
            region.end().0 + 4096,
        ]
    });
    let step = (1_u64 << 47) / if host.is_lab() { 64 } else { 4096 };
    let far = (0..1_u64 << 47).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    let addresses: Vec<u64> = beside.chain(far).filter(|&address| !mapped(address)).collect();
    sweep.with_each(addresses)?;
    Ok(words::tally(&sweep.finish()?))
}

fn aliases() -> Got {
    let machine = TestMachine::new(App::Attack, &["nop"]);
    let tables = machine.page_tables();
    let mut frames: Vec<u64> = tables.leaves.iter().map(|leaf| leaf.gpa).collect();
    frames.sort_unstable();
    let twice = frames.windows(2).filter(|pair| pair[0] == pair[1]).count();
    Ok(if twice == 0 { "none".to_owned() } else { format!("{twice}") })
}

fn layouts() -> Got {
    let mut bases = Vec::new();
    for _ in 0..64 {
        let machine = TestMachine::new(App::Attack, &["nop"]);
        bases.extend(machine.machine.plan.regions.iter().map(|region| region.gva.0));
    }
    let count = bases.len();
    bases.sort_unstable();
    bases.dedup();
    Ok(if bases.len() == count {
        "no base twice".to_owned()
    } else {
        format!("{} twice", count - bases.len())
    })
}
