//! What a machine of this process must have kept from its guest, and kept around it: after every case.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use ::tests::TestMachine;
use hvcall::Gva;
use loader::layout::{RegionKind, Slot};

/// Least that must lie unmapped on both sides of a guest's memory.
const GUARD_BYTES: u64 = 64 * 1024;

/// A mapping of this process.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    accessible: bool,
}

/// Guest memory lies between pages that nobody can access, so that no access beside it could have gone unnoticed (O2). No word that
/// the guest can read is an address of this process (O9).
pub(crate) fn check(machine: &TestMachine) -> Result<(), String> {
    let mappings = mappings()?;
    guarded(machine, &mappings)?;
    let plan = &machine.machine.plan;
    // By chance, an address of the guest's can be one of this process, too.
    let own = |word: u64| plan.regions.iter().any(|region| (region.gva.0..region.end().0).contains(&word));
    let (lowest, highest) =
        (mappings.first().map_or(0, |first| first.start), mappings.last().map_or(0, |last| last.end));
    let mut readable =
        written_pages(machine).map_err(|error| format!("O9: pages of this process: {error}"))?;
    readable.push(machine.bytes_of(Slot::ReadOnly));
    let words =
        readable.iter().flat_map(|bytes| bytes.as_chunks::<8>().0).map(|word| u64::from_le_bytes(*word));
    let mut suspects = words.filter(|word| (lowest..highest).contains(word));
    let leaked = suspects.find(|&word| {
        let at = mappings.partition_point(|mapping| mapping.end <= word);
        mappings.get(at).is_some_and(|mapping| mapping.accessible && mapping.start <= word) && !own(word)
    });
    leaked.map_or(Ok(()), |leaked| {
        Err(format!("O9: the guest can read {leaked:#x}, an address of the monitor's"))
    })
}

/// Those pages of the guest's writable memory that anybody has ever touched. The others are zero, and most are others.
fn written_pages(machine: &TestMachine) -> io::Result<Vec<Vec<u8>>> {
    const PAGE_BYTES: usize = 4096;
    // In memory, or swapped out (proc_pid_pagemap(5)).
    const TOUCHED: u64 = 1 << 63 | 1 << 62;
    let memory = machine.machine.monitor.dispatcher.memory.writable();
    let mut entries = vec![0; memory.size_bytes() / PAGE_BYTES * size_of::<u64>()];
    let first = memory.base().addr().get() / PAGE_BYTES;
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entries, (first * size_of::<u64>()) as u64)?;
    let entries = entries.as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry));
    let touched = entries.enumerate().filter(|(_, entry)| entry & TOUCHED != 0);
    Ok(touched.map(|(page, _)| memory.copy_out(page * PAGE_BYTES, PAGE_BYTES)).collect())
}

fn guarded(machine: &TestMachine, mappings: &[Mapping]) -> Result<(), String> {
    let heap = machine.machine.plan.region(RegionKind::Heap).gva.0;
    let target = machine.machine.monitor.dispatcher.memory.target(Gva(heap), 8);
    let address = target.map_err(|status| status.to_string())?.raw().0.addr() as u64;
    let at = mappings.partition_point(|mapping| mapping.end <= address);
    let (Some(before), Some(memory), Some(behind)) =
        (at.checked_sub(1).and_then(|before| mappings.get(before)), mappings.get(at), mappings.get(at + 1))
    else {
        return Err("O2: guest memory at the end of all mappings".to_owned());
    };
    let closed = |guard: &Mapping| !guard.accessible && guard.end - guard.start >= GUARD_BYTES;
    if closed(before) && closed(behind) && before.end == memory.start && behind.start == memory.end {
        Ok(())
    } else {
        Err(format!("O2: guest memory is not guarded: {before:x?}, {memory:x?}, {behind:x?}"))
    }
}

/// The mappings of this process, in order (proc_pid_maps(5)). The vsyscall page, which no process is without, is none of them.
fn mappings() -> Result<Vec<Mapping>, String> {
    let text = std::fs::read_to_string("/proc/self/maps").map_err(|error| error.to_string())?;
    let mapping = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        Some(Mapping { start: number(start)?, end: number(end)?, accessible: !rest.starts_with("---") })
    };
    Ok(text.lines().filter(|line| !line.ends_with("[vsyscall]")).filter_map(mapping).collect())
}

#[cfg(test)]
mod tests {
    use ::tests::{App, TestMachine};
    use hvcall::Gva;
    use loader::layout::RegionKind;

    use super::check;

    #[test]
    fn an_address_of_this_process_in_the_guests_memory_is_found() {
        let machine = TestMachine::new(App::Hello, &[]);
        check(&machine).unwrap();
        let memory = &machine.machine.monitor.dispatcher.memory;
        let heap = machine.machine.plan.region(RegionKind::Heap);
        let target = memory.target(Gva(heap.gva.0 + heap.size_bytes / 2), 8).unwrap();
        target.copy_from(&(memory.writable().base().addr().get() as u64).to_le_bytes());
        assert!(check(&machine).unwrap_err().starts_with("O9"), "the address was not found");
    }
}
