//! Section 3, the racing writer: a thread that changes every argument structure while the monitor reads it.
//!
//! No guest can do this today, since its one vCPU is stopped during a call; the rule is that it would not matter. Words are changed one by one,
//! so that structures are torn, too. Whatever the monitor takes them for, it must have checked what it acts on: sources are only
//! areas of As and Bs, destinations only two others, and everything else must be as it was.
#![expect(unsafe_code, reason = "another thread writes to guest memory while the monitor reads it")]

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::tests::Window;
use hvcall::{Call, DiskInfo, GuestArray, Gva, NicInfo};
use loader::layout::RegionKind;
use loader::monitor::disk::Disk;
use loader::monitor::nic::Nic;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::case::{Case, Got, all, case};

/// Rounds of each case. Together 10 million.
const BATCH_ROUNDS: u64 = 4_000_000;
const TARGET_ROUNDS: u64 = 3_000_000;
const FRAME_ROUNDS: u64 = 1_000_000;
const DISK_ROUNDS: u64 = 1_000_000;

/// Places in the heap.
const ARRAY: u64 = 0x1000;
const SOURCE_A: u64 = 0x2_0000;
const SOURCE_B: u64 = 0x4_0000;
const TARGET_A: u64 = 0x6_0000;
const TARGET_B: u64 = 0x8_0000;
const AREA_BYTES: u64 = 0x1000;
/// What the rest of the heap holds.
const POISON: u8 = 0xee;
/// What the harness puts into sealed memory, a source like any other.
const SEALED: u8 = 0x5e;

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let expected = all(&["nothing that one value would not have done"])
        .not_lab("the dispatcher alone: it never meets the processor's virtualisation")
        .not_process("the dispatcher alone: the same as on pvm");
    vec![
        case(138, "batch-of-writes-racing", expected, |_| batches()),
        case(138, "batch-of-entropy-racing", expected, |_| targets()),
        case(138, "frames-sent-racing", expected, |_| frames_sent()),
        case(138, "buffers-to-receive-racing", expected, |_| frames_received()),
        case(138, "disk-writes-racing", expected, |_| disk_writes()),
        case(138, "disk-reads-racing", expected, |_| disk_reads()),
    ]
}

/// A word of a structure, and the values that it takes.
type Word<'a> = (u64, &'a [u64]);

/// Calls `round` again and again while another thread changes words of the array's first structures, each `stride` bytes long. Ends
/// with the first complaint.
fn race(
    window: &mut Window,
    rounds: u64,
    (structures, stride): (u64, u64),
    words: &[Word<'_>],
    mut round: impl FnMut(&mut Window, u64) -> Result<(), String>,
) -> Got {
    let heap = window.heap();
    let bytes = structures * stride;
    let target =
        window.dispatcher.memory.target(Gva(heap + ARRAY), bytes).map_err(|status| status.to_string())?;
    let base = target.raw().0.expose_provenance();
    let stop = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = 0x9e37_79b9_7f4a_7c15_u64;
            let mut draw = |limit: usize| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                usize::try_from(random >> 33).unwrap_or(0) % limit
            };
            while !stop.load(Ordering::Relaxed) {
                let structure = draw(usize::try_from(structures).unwrap_or(1));
                let (offset, values) = words[draw(words.len())];
                let value = values[draw(values.len())];
                let at = base
                    + structure * usize::try_from(stride).unwrap_or(0)
                    + usize::try_from(offset).unwrap_or(0);
                let word: *mut u64 = std::ptr::with_exposed_provenance_mut(at);
                // SAFETY: aligned, and within the array, which the window keeps until this thread has ended. The monitor copies it without
                // being told: that is the purpose.
                let word = unsafe { AtomicU64::from_ptr(word) };
                word.store(value, Ordering::Relaxed);
            }
        });
        let result = (0..rounds).try_for_each(|number| round(window, number));
        stop.store(true, Ordering::Relaxed);
        result
    });
    result?;
    untouched(window, bytes)?;
    Ok("nothing that one value would not have done".to_owned())
}

/// Everything but the array and the two targets is as it was.
fn untouched(window: &Window, array_bytes: u64) -> Result<(), String> {
    let heap = window.peek(window.heap(), usize::try_from(Window::HEAP_BYTES).unwrap_or(0));
    for (offset, &byte) in (0..).zip(&heap) {
        let within = |start: u64, size: u64| (start..start + size).contains(&offset);
        let expected = match offset {
            _ if within(ARRAY, array_bytes)
                || within(TARGET_A, AREA_BYTES)
                || within(TARGET_B, AREA_BYTES) =>
            {
                continue;
            }
            _ if within(SOURCE_A, AREA_BYTES) => b'A',
            _ if within(SOURCE_B, AREA_BYTES) => b'B',
            _ => POISON,
        };
        if byte != expected {
            return Err(format!("heap + {offset:#x} holds {byte:#x}, not {expected:#x}"));
        }
    }
    let sealed = window.dispatcher.memory.sealed().bytes();
    if sealed.iter().all(|&byte| byte == SEALED) {
        Ok(())
    } else {
        Err("O3: sealed memory has changed".to_owned())
    }
}

fn window(nics: Vec<Nic>, disks: Vec<Disk>) -> Window {
    let window = Window::new(nics, disks);
    let heap = window.heap();
    window.poke(heap, &vec![POISON; usize::try_from(Window::HEAP_BYTES).unwrap_or(0)]);
    let area = |byte| vec![byte; usize::try_from(AREA_BYTES).unwrap_or(0)];
    window.poke(heap + SOURCE_A, &area(b'A'));
    window.poke(heap + SOURCE_B, &area(b'B'));
    window
}

/// Whether bytes come from an area that the attacker may name, all from one.
fn from_one_source(bytes: &[u8]) -> Result<(), String> {
    let good = |of| bytes.iter().all(|&byte| byte == of);
    if [b'A', b'B', SEALED].into_iter().any(good) { Ok(()) } else { Err(format!("{bytes:x?} came out")) }
}

fn array(window: &Window, count: u64) -> GuestArray {
    GuestArray { address: Gva(window.heap() + ARRAY), count }
}

/// Addresses of sources, of nothing, and of monitor memory.
fn addresses(window: &Window, own: [u64; 2]) -> Vec<u64> {
    let heap = window.heap();
    let region = |kind| window.plan.region(kind).gva.0;
    vec![
        heap + own[0],
        heap + own[1],
        0x1000,
        u64::MAX - 10,
        heap + Window::HEAP_BYTES,
        region(RegionKind::Stubs),
        region(RegionKind::FaultStack),
        region(RegionKind::Descriptors),
    ]
}

fn batches() -> Got {
    const ENTRIES: u64 = 2;
    let mut window = window(Vec::new(), Vec::new());
    let mut places = addresses(&window, [SOURCE_A, SOURCE_B]);
    places.push(window.plan.region(RegionKind::Text).gva.0);
    // exit, console_write, net_send, clock, multicall, two that are not there: the low half alone counts.
    let numbers = [0, 1, 1, 1, 3, 7, 9, 10, 0xffff_ffff_0000_0001, 336];
    let lengths = [0, 1, 8, 16, 65_537, u64::MAX];
    let words: [Word<'_>; 4] = [(0, &numbers), (8, &places), (16, &lengths), (24, &[0, 0, 0, 1])];
    let call = Call::Multicall(array(&window, ENTRIES));
    race(&mut window, BATCH_ROUNDS, (ENTRIES, 64), &words, |window, number| {
        if window.call(&call) != ENTRIES.cast_signed() {
            return Err("the batch was not carried out".to_owned());
        }
        // The console is a pipe of 64 KiB, and a round writes 32 bytes at most.
        if number % 1024 == 1023 {
            let out = window.console();
            let strange = out.iter().find(|&&byte| !matches!(byte, b'A' | b'B' | SEALED));
            return strange.map_or(Ok(()), |byte| Err(format!("{byte:#x} on the console")));
        }
        Ok(())
    })
}

fn targets() -> Got {
    const ENTRIES: u64 = 2;
    let mut window = window(Vec::new(), Vec::new());
    let mut places = addresses(&window, [TARGET_A, TARGET_B]);
    places.extend(
        [RegionKind::Text, RegionKind::ReadOnlyData, RegionKind::BootInfo]
            .map(|kind| window.plan.region(kind).gva.0),
    );
    let words: [Word<'_>; 4] =
        [(0, &[8, 8, 8, 7, 10]), (8, &places), (16, &[0, 1, 8, 256, 257, u64::MAX]), (24, &[0, 0, 0, 1])];
    let call = Call::Multicall(array(&window, ENTRIES));
    race(&mut window, TARGET_ROUNDS, (ENTRIES, 64), &words, |window, _| {
        if window.call(&call) == ENTRIES.cast_signed() { Ok(()) } else { Err("not carried out".to_owned()) }
    })
}

fn link() -> Result<(Nic, File), String> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let (guest, host): (OwnedFd, OwnedFd) = pair.map_err(|errno| errno.to_string())?;
    Ok((Nic::new(guest, NicInfo::default(), false), host.into()))
}

/// The second word of a frame: length, flags, kind of segmentation.
const FRAME_LENGTHS: [u64; 9] = [60, 60, 100, 13, 0, 65_536, u32::MAX as u64, 60 | 1 << 32, 100 | 1 << 48];

fn frames_sent() -> Got {
    let (nic, mut host) = link()?;
    let mut window = window(vec![nic], Vec::new());
    let mut places = addresses(&window, [SOURCE_A, SOURCE_B]);
    places.push(window.plan.region(RegionKind::Text).gva.0);
    let words: [Word<'_>; 3] = [(0, &places), (8, &FRAME_LENGTHS), (16, &[0, 0, 0, 1, 1 << 48])];
    let call = Call::NetSend { device: 0, frames: array(&window, 2) };
    let mut frame = vec![0; 70_000];
    race(&mut window, FRAME_ROUNDS, (2, 24), &words, move |window, _| {
        for _ in 0..window.call(&call).max(0) {
            let size_bytes = host.read(&mut frame).map_err(|error| error.to_string())?;
            if !matches!(size_bytes, 60 | 100) {
                return Err(format!("a frame of {size_bytes} bytes"));
            }
            from_one_source(&frame[..size_bytes])?;
        }
        Ok(())
    })
}

fn frames_received() -> Got {
    let (nic, host) = link()?;
    let mut window = window(vec![nic], Vec::new());
    let mut places = addresses(&window, [TARGET_A, TARGET_B]);
    places.push(window.plan.region(RegionKind::Text).gva.0);
    let words: [Word<'_>; 3] = [(0, &places), (8, &FRAME_LENGTHS), (16, &[0, 0, 0, 1])];
    let call = Call::NetRecv { device: 0, frames: array(&window, 2) };
    race(&mut window, FRAME_ROUNDS, (2, 24), &words, move |window, _| {
        let frame = [0xf7; 100];
        // Full is as good.
        let _ = rustix::io::write(&host, &frame[..60]);
        let _ = rustix::io::write(&host, &frame);
        window.call(&call);
        Ok(())
    })
}

const SECTORS: u64 = 64;

fn disk() -> Result<(Disk, File), String> {
    let file =
        tempfile::tempfile_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
    let file = file.map_err(|error| error.to_string())?;
    file.set_len(SECTORS * 512).map_err(|error| error.to_string())?;
    let copy = file.try_clone().map_err(|error| error.to_string())?;
    Ok((Disk::new(file, DiskInfo { sectors: SECTORS, sector_bytes: 512, flags: 0 }), copy))
}

/// The words of a request: sector, address, and how many sectors of what operation.
fn request_words<'a>(places: &'a [u64], operations: &'a [u64]) -> [Word<'a>; 4] {
    [
        (0, &[1, 2, u64::MAX]),
        (8, &[1, 4, SECTORS - 1, SECTORS, u64::MAX, 1 << 55]),
        (16, places),
        (24, operations),
    ]
}

fn submit_and_reap(window: &mut Window, submit: &Call, reap: &Call) {
    window.call(submit);
    window.call(reap);
}

fn disk_race(own: [u64; 2], operations: &[u64]) -> Result<(Got, Vec<u8>), String> {
    let (disk, file) = disk()?;
    file.write_all_at(&[0xf7; 512], 4 * 512).map_err(|error| error.to_string())?;
    let mut window = window(Vec::new(), vec![disk]);
    let places = addresses(&window, own);
    let words = request_words(&places, operations);
    let submit = Call::BlockSubmit { device: 0, requests: array(&window, 2) };
    let room = GuestArray { address: Gva(window.heap() + TARGET_A), count: 64 };
    let reap = Call::BlockReap { device: 0, completions: room };
    let got = race(&mut window, DISK_ROUNDS / 2, (2, 32), &words, |window, _| {
        submit_and_reap(window, &submit, &reap);
        Ok(())
    });
    let mut content = Vec::new();
    let mut file = file;
    std::io::Seek::rewind(&mut file)
        .and_then(|()| file.read_to_end(&mut content))
        .map_err(|error| error.to_string())?;
    Ok((got, content))
}

fn disk_writes() -> Got {
    // One or two sectors to write; none, far too many; no such operation.
    let operations = [1 | 1 << 32, 2 | 1 << 32, 1 << 32, u64::from(u32::MAX) | 1 << 32, 1 | 9 << 32];
    let (got, content) = disk_race([SOURCE_A, SOURCE_B], &operations)?;
    let size_bytes = SECTORS * 512;
    if content.len() as u64 != size_bytes {
        return Err(format!("O8: the disk has {} bytes now", content.len()));
    }
    for (number, sector) in content.chunks_exact(512).enumerate() {
        let written = sector.iter().all(|&byte| byte == b'A') || sector.iter().all(|&byte| byte == b'B');
        let good = match number {
            1 | 2 | 5 | 63 => written || sector.iter().all(|&byte| byte == 0),
            4 => written || sector.iter().all(|&byte| byte == 0xf7),
            _ => sector.iter().all(|&byte| byte == 0),
        };
        if !good {
            return Err(format!("O8: sector {number} holds {:x?}", &sector[..8]));
        }
    }
    got
}

fn disk_reads() -> Got {
    let operations = [1, 2, 0, u64::from(u32::MAX), 1 | 9 << 32];
    let (got, content) = disk_race([TARGET_A, TARGET_B], &operations)?;
    let written = content
        .iter()
        .zip(0..)
        .find(|&(&byte, at)| byte != if (2048..2560).contains(&at) { 0xf7 } else { 0 });
    written.map_or(got, |(_, at)| Err(format!("O8: a read changed byte {at}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the suite is for: a length that is checked and then read once more.
    #[test]
    fn a_length_that_is_fetched_twice_is_caught() {
        let mut window = window(Vec::new(), Vec::new());
        let array = Gva(window.heap() + ARRAY);
        let got = race(&mut window, u64::MAX, (1, 8), &[(0, &[8, u64::MAX])], |window, _| {
            let fetch = || window.dispatcher.memory.source(array, 8).map(|source| source.read::<u64, 8>());
            let checked = fetch().is_ok_and(|length| length <= 16);
            let used = fetch().unwrap_or(0);
            if checked && used > 16 { Err(format!("{used} bytes")) } else { Ok(()) }
        });
        assert_eq!(got, Err(format!("{} bytes", u64::MAX)));
    }
}
