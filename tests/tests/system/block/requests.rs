//! `block_submit` and `block_reap`, request by request, without a guest.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use hvcall::boot::DISK_READ_ONLY;
use hvcall::{Call, Completion, DiskInfo, Events, GuestArray, Gva, Operation, Request, Status};
use loader::layout::RegionKind;
use loader::monitor::disk::Disk;
use tests::Window;

const SECTORS: u64 = 64;
const AGAIN: i64 = Status::AGAIN.to_result();
const IO: i64 = Status::IO.to_result();
const NOSPC: i64 = Status::NOSPC.to_result();

struct Bench {
    window: Window,
    file: File,
    descriptors: u64,
    data: u64,
}

impl Bench {
    fn new(info: DiskInfo) -> Self {
        let file = tempfile::tempfile().unwrap();
        file.set_len(info.sectors * u64::from(info.sector_bytes)).unwrap();
        Self::on(file, info)
    }

    fn on(file: File, info: DiskInfo) -> Self {
        let disk = Disk::new(file.try_clone().unwrap(), info);
        let window = Window::new(Vec::new(), vec![disk]);
        let heap = window.heap();
        Self { window, file, descriptors: heap, data: heap + 65_536 }
    }

    fn plain() -> Self {
        Self::new(DiskInfo { sectors: SECTORS, sector_bytes: 512, flags: 0 })
    }

    fn submit(&mut self, requests: &[Request]) -> i64 {
        self.window.poke_all(self.descriptors, requests);
        let requests = GuestArray { address: Gva(self.descriptors), count: requests.len() as u64 };
        self.window.call(&Call::BlockSubmit { device: 0, requests })
    }

    fn reap(&mut self, room: u64) -> Vec<(u64, i64)> {
        let completions = GuestArray { address: Gva(self.descriptors), count: room };
        let count = self.window.call(&Call::BlockReap { device: 0, completions });
        let read = |index| self.window.peek_as::<Completion>(self.descriptors + index * 16);
        (0..count.cast_unsigned()).map(read).map(|completion| (completion.tag, completion.result)).collect()
    }

    /// Submits one request, which must be accepted, and returns its result.
    fn result(&mut self, request: Request) -> i64 {
        assert_eq!(self.submit(&[request]), 1);
        let completions = self.reap(64);
        assert_eq!(completions.len(), 1);
        assert_eq!(completions[0].0, request.tag);
        completions[0].1
    }

    fn request(&self, operation: Operation, sector: u64, sectors: u32) -> Request {
        let address = match operation {
            Operation::Read | Operation::Write => self.data,
            Operation::Flush | Operation::Discard => 0,
        };
        Request { tag: u64::MAX - sector, sector, address, sectors, operation: operation.to_raw() }
    }
}

#[test]
fn data_goes_to_its_sectors_and_comes_back() {
    let mut bench = Bench::plain();
    let content: Vec<u8> = (0..1024_u32).flat_map(u32::to_le_bytes).take(1024).collect();
    bench.window.poke(bench.data, &content);
    let write = bench.request(Operation::Write, SECTORS - 2, 2);
    assert_eq!(bench.result(write), 0);
    let mut found = vec![0; 1024];
    bench.file.read_exact_at(&mut found, (SECTORS - 2) * 512).unwrap();
    assert_eq!(found, content);
    bench.window.poke(bench.data, &[0xee; 2048]);
    let read = bench.request(Operation::Read, SECTORS - 2, 2);
    assert_eq!(bench.result(read), 0);
    assert_eq!(bench.window.peek(bench.data, 1024), content);
    assert_eq!(bench.window.peek(bench.data + 1024, 1024), [0xee; 1024]);
}

#[test]
fn one_bad_request_stops_all_of_them() {
    let mut bench = Bench::plain();
    bench.window.poke(bench.data, &[7; 512]);
    let good = bench.request(Operation::Write, 0, 1);
    let read = bench.request(Operation::Read, 0, 1);
    let region = |kind| bench.window.plan.region(kind);
    let (text, end) = (region(RegionKind::Text).gva.0, region(RegionKind::Heap).end().0);
    let (inval, fault) = (Status::INVAL.to_result(), Status::FAULT.to_result());
    for (bad, status) in [
        (Request { sectors: 0, ..good }, inval),
        (Request { sector: SECTORS, ..good }, inval),
        (Request { sector: SECTORS - 1, sectors: 2, ..good }, inval),
        (Request { sector: u64::MAX, ..good }, inval),
        (Request { operation: 4, ..good }, inval),
        (Request { address: 0x1000, ..good }, fault),
        (Request { address: end - 511, ..good }, fault),
        (Request { address: u64::MAX - 10, ..good }, fault),
        (Request { address: text, ..read }, fault),
    ] {
        assert_eq!(bench.submit(&[good, bad]), status, "{bad:?}");
        assert_eq!(bench.reap(64), []);
    }
    let mut sector = [0; 512];
    bench.file.read_exact_at(&mut sector, 0).unwrap();
    assert_eq!(sector, [0; 512], "a refused row wrote nothing");
    // Read-only memory is a source like any other.
    assert_eq!(bench.result(Request { address: text, ..good }), 0);
    bench.file.read_exact_at(&mut sector, 0).unwrap();
    assert_eq!(sector, [0x5e; 512]);
}

#[test]
fn no_more_is_accepted_than_there_is_room_for_completions() {
    let mut bench = Bench::plain();
    let flush = bench.request(Operation::Flush, 0, 0);
    let row = |count| (0..count).map(|tag| Request { tag, ..flush }).collect::<Vec<_>>();
    assert_eq!(bench.submit(&row(40)), 40);
    assert_eq!(bench.submit(&row(40)), 24);
    assert_eq!(bench.submit(&row(1)), AGAIN);
    assert_eq!(bench.submit(&[]), 0);
    let wait = Call::Wait { deadline_ns: u64::MAX, interest: Events::disk(0) };
    assert_eq!(bench.window.call(&wait), Events::disk(0).bits().cast_signed());
    assert_eq!(bench.reap(0), []);
    assert_eq!(bench.reap(1), [(0, 0)]);
    assert_eq!(bench.reap(64).len(), 63);
    assert_eq!(bench.reap(64), []);
    assert_eq!(bench.window.call(&Call::Wait { deadline_ns: 0, interest: Events::disk(0) }), 0);
}

#[test]
fn read_only_disks_refuse_changes_before_any_of_the_row() {
    let mut bench = Bench::new(DiskInfo { sectors: SECTORS, sector_bytes: 512, flags: DISK_READ_ONLY });
    let read = bench.request(Operation::Read, 0, 1);
    for operation in [Operation::Write, Operation::Discard] {
        let change = bench.request(operation, 0, 1);
        assert_eq!(bench.submit(&[read, change]), Status::ROFS.to_result());
        assert_eq!(bench.reap(64), []);
    }
    assert_eq!(bench.result(read), 0);
    let flush = bench.request(Operation::Flush, 0, 0);
    assert_eq!(bench.result(flush), 0);
}

#[test]
fn file_cut_short_gives_an_error_and_no_stale_bytes() {
    let mut bench = Bench::plain();
    bench.window.poke(bench.data, &[7; 512]);
    let write = bench.request(Operation::Write, 32, 1);
    assert_eq!(bench.result(write), 0);
    bench.file.set_len(32 * 512).unwrap();
    bench.window.poke(bench.data, &[0xee; 1024]);
    let behind = bench.request(Operation::Read, 32, 2);
    assert_eq!(bench.result(behind), IO);
    assert_eq!(bench.window.peek(bench.data, 1024), [0xee; 1024]);
    let across = bench.request(Operation::Read, 31, 2);
    assert_eq!(bench.result(across), IO);
    let before = bench.request(Operation::Read, 31, 1);
    assert_eq!(bench.result(before), 0);
    bench.file.set_len(0).unwrap();
    assert_eq!(bench.result(before), IO);
}

#[test]
fn full_host_is_said_to_be_full() {
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let mut bench = Bench::on(full, DiskInfo { sectors: SECTORS, sector_bytes: 512, flags: 0 });
    let write = bench.request(Operation::Write, 0, 1);
    assert_eq!(bench.result(write), NOSPC);
}

#[test]
fn after_a_failed_flush_no_flush_succeeds() {
    // A pipe cannot be flushed to stable storage.
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    let mut bench = Bench::on(File::from(writer), DiskInfo { sectors: SECTORS, sector_bytes: 512, flags: 0 });
    let flush = bench.request(Operation::Flush, 0, 0);
    assert_eq!(bench.result(flush), IO);
    assert_eq!(bench.result(flush), IO);
}

#[test]
fn discarded_sectors_read_as_zeros_and_their_neighbours_stay() {
    let mut bench = Bench::plain();
    bench.window.poke(bench.data, &[7; 512 * 16]);
    let write = bench.request(Operation::Write, 0, 16);
    assert_eq!(bench.result(write), 0);
    let discard = bench.request(Operation::Discard, 3, 9);
    assert_eq!(bench.result(discard), 0);
    let read = bench.request(Operation::Read, 0, 16);
    assert_eq!(bench.result(read), 0);
    let expected = [vec![7; 3 * 512], vec![0; 9 * 512], vec![7; 4 * 512]].concat();
    assert_eq!(bench.window.peek(bench.data, 16 * 512), expected);
    assert_eq!(bench.file.metadata().unwrap().len(), SECTORS * 512);
}
