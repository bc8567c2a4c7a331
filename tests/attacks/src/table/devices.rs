//! Section 6 by the dispatcher alone: files and sockets that fail under a disk or a NIC, without a guest.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};

use ::tests::Window;
use hvcall::{Call, Completion, DiskInfo, Frame, GuestArray, Gva, NicInfo, Operation, Request, Status};
use loader::monitor::disk::Disk;
use loader::monitor::nic::Nic;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::case::{Case, Got, all, case, nowhere};

const DISK_BYTES: u64 = 1 << 16;
/// Longest frame.
const MOST: u32 = 65_535;

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let alone = |row, label: &str, outcome: &'static [&'static str], attack: fn() -> Got| {
        let expected = all(outcome)
            .not_process("the dispatcher alone: the same as on pvm")
            .not_lab("the dispatcher alone: it never meets the processor's virtualisation");
        case(row, label, expected, move |_| attack())
    };
    vec![
        alone(220, "4096-flushes", &["4096 x ok"], || {
            let file = tempfile::tempfile().map_err(text)?;
            file.set_len(DISK_BYTES).map_err(text)?;
            requests(file, &[Operation::Flush; 4096])
        }),
        alone(228, "reads-that-fail", &["3 x input/output error"], || {
            requests(pipe()?.0, &[Operation::Read; 3])
        }),
        alone(228, "writes-that-fail", &["3 x input/output error"], || {
            requests(pipe()?.1, &[Operation::Write; 3])
        }),
        alone(228, "flush-that-fails", &["2 x input/output error"], || {
            requests(pipe()?.1, &[Operation::Flush; 2])
        }),
        alone(227, "writes-to-dev-full", &["3 x no space"], || {
            let file = File::options().read(true).write(true).open("/dev/full").map_err(text)?;
            requests(file, &[Operation::Write; 3])
        }),
        alone(232, "reads-that-give-nothing", &["3 x input/output error"], || {
            requests(tempfile::tempfile().map_err(text)?, &[Operation::Read; 3])
        }),
        case(
            232,
            "writes-that-take-nothing",
            nowhere("no file of Linux's takes 0 bytes of more and says so; the loop is the one of reads"),
            |_| Err("not here".to_owned()),
        ),
        alone(234, "sending-where-nobody-reads", &["some, then again"], send_until_full),
        alone(234, "receiving-where-nothing-came", &["again"], || {
            let (mut window, _host) = nic()?;
            Ok(status(receive(&mut window, MOST)))
        }),
        alone(235, "sending-where-nobody-is", &["input/output error"], || {
            let (mut window, host) = nic()?;
            drop(host);
            Ok(status(send(&mut window)))
        }),
        alone(235, "receiving-where-nobody-is", &["input/output error"], || {
            let (mut window, host) = nic()?;
            drop(host);
            Ok(status(receive(&mut window, MOST)))
        }),
        alone(237, "frame-longer-than-any-buffer", &["the next one, 60 bytes"], || {
            after_frame(usize::try_from(MOST).unwrap_or(0) + 11)
        }),
        alone(237, "frame-of-200000-bytes", &["the next one, 60 bytes"], || after_frame(200_000)),
        alone(238, "frame-of-1-byte", &["the next one, 60 bytes"], || after_frame(1)),
        alone(238, "frame-of-13-bytes", &["the next one, 60 bytes"], || after_frame(13)),
        alone(238, "frame-of-14-bytes", &["the next one, 14 bytes"], || after_frame(14)),
    ]
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn pipe() -> Result<(File, File), String> {
    let (reader, writer) = rustix::pipe::pipe().map_err(text)?;
    Ok((reader.into(), writer.into()))
}

/// What a result tells.
fn status(result: i64) -> String {
    match Status::from_result(result) {
        Ok(0) => "ok".to_owned(),
        Ok(value) => format!("{value}"),
        Err(Status::IO) => "input/output error".to_owned(),
        Err(Status::NOSPC) => "no space".to_owned(),
        Err(Status::AGAIN) => "again".to_owned(),
        Err(other) => format!("{other}"),
    }
}

/// Has requests carried out one by one. What they end with must be the same, and is counted.
fn requests(file: File, operations: &[Operation]) -> Got {
    let mut bench = Bench::new(file);
    let ends: Vec<String> =
        operations.iter().map(|operation| bench.request(*operation)).collect::<Result<_, _>>()?;
    let first = ends.first().cloned().unwrap_or_default();
    let other = ends.iter().find(|end| **end != first);
    Ok(other
        .map_or_else(|| format!("{} x {first}", ends.len()), |other| format!("{first}, but also {other}")))
}

/// A disk on a file.
struct Bench {
    window: Window,
}

impl Bench {
    fn new(file: File) -> Self {
        let info = DiskInfo { sectors: DISK_BYTES / 512, sector_bytes: 512, flags: 0 };
        Self { window: Window::new(Vec::new(), vec![Disk::new(file, info)]) }
    }

    /// Submits a request and gives what it ends with.
    fn request(&mut self, operation: Operation) -> Got {
        let heap = self.window.heap();
        let (sectors, address) = match operation {
            Operation::Read | Operation::Write => (1, heap + 0x1000),
            Operation::Flush | Operation::Discard => (0, 0),
        };
        let request = Request { tag: 7, sector: 0, address, sectors, operation: operation.to_raw() };
        self.window.poke_all(heap, &[request]);
        let array = GuestArray { address: Gva(heap), count: 1 };
        let accepted = self.window.call(&Call::BlockSubmit { device: 0, requests: array });
        let reaped = self.window.call(&Call::BlockReap { device: 0, completions: array });
        let completion = self.window.peek_as::<Completion>(heap);
        if (accepted, reaped, completion.tag) == (1, 1, 7) {
            Ok(status(completion.result))
        } else {
            Err(format!("{accepted} accepted, {reaped} completed: {completion:?}"))
        }
    }
}

/// A NIC on a socket pair, and the host's end of it.
fn nic() -> Result<(Window, File), String> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (guest, host) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(text)?;
    let nic = Nic::new(guest, NicInfo::default(), false);
    Ok((Window::new(vec![nic], Vec::new()), host.into()))
}

fn frame(window: &Window, size_bytes: u32) -> GuestArray {
    let heap = window.heap();
    let frame = Frame { address: heap + 0x1000, size_bytes, ..Frame::default() };
    window.poke_all(heap, &[frame]);
    GuestArray { address: Gva(heap), count: 1 }
}

fn send(window: &mut Window) -> i64 {
    let frames = frame(window, 1514);
    window.call(&Call::NetSend { device: 0, frames })
}

fn receive(window: &mut Window, size_bytes: u32) -> i64 {
    let frames = frame(window, size_bytes);
    window.call(&Call::NetRecv { device: 0, frames })
}

fn send_until_full() -> Got {
    let (mut window, _host) = nic()?;
    let sent = (0..100_000).take_while(|_| send(&mut window) == 1).count();
    let then = status(send(&mut window));
    Ok(if sent > 0 { format!("some, then {then}") } else { then })
}

/// The frame that a guest receives if the host sends one of this size, and then one of 60 bytes.
fn after_frame(size_bytes: usize) -> Got {
    let (mut window, mut host) = nic()?;
    rustix::net::sockopt::set_socket_send_buffer_size(&host, 1 << 20).map_err(text)?;
    for size_bytes in [size_bytes, 60] {
        host.write_all(&vec![0x5a; size_bytes]).map_err(text)?;
    }
    let count = receive(&mut window, MOST);
    let frame = window.peek_as::<Frame>(window.heap());
    let nothing = host.read(&mut [0; 64]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    if count != 1 || !nothing {
        return Ok(format!("{}: {frame:?}", status(count)));
    }
    Ok(format!("the next one, {} bytes", frame.size_bytes))
}
