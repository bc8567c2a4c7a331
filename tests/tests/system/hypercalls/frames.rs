//! `net_send` and `net_recv` over a socket pair: one message is one frame.

use std::os::fd::OwnedFd;

use hvcall::{Call, Frame, GuestArray, Gva, NicInfo, Status};
use loader::layout::RegionKind;
use loader::monitor::nic::Nic;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tests::Window;

const AGAIN: i64 = Status::AGAIN.to_result();

struct Link {
    window: Window,
    host: OwnedFd,
    /// Where descriptors go.
    descriptors: u64,
    /// Where frames go.
    data: u64,
}

impl Link {
    fn new() -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (guest, host) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let window = Window::new(vec![Nic::new(guest, NicInfo::default(), false)], Vec::new());
        let heap = window.heap();
        Self { window, host, descriptors: heap, data: heap + 65_536 }
    }

    fn frames(&self, frames: &[Frame]) -> GuestArray {
        self.window.poke_all(self.descriptors, frames);
        GuestArray { address: Gva(self.descriptors), count: frames.len() as u64 }
    }

    fn send(&mut self, frames: &[Frame]) -> i64 {
        let frames = self.frames(frames);
        self.window.call(&Call::NetSend { device: 0, frames })
    }

    fn receive(&mut self, frames: &[Frame]) -> i64 {
        let frames = self.frames(frames);
        self.window.call(&Call::NetRecv { device: 0, frames })
    }

    fn descriptor(&self, index: u64) -> Frame {
        self.window.peek_as(self.descriptors + index * 24)
    }

    fn sent_by_guest(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 70_000];
        let size_bytes = rustix::io::read(&self.host, &mut frame).ok()?;
        frame.truncate(size_bytes);
        Some(frame)
    }

    fn send_to_guest(&self, frame: &[u8]) {
        assert_eq!(rustix::io::write(&self.host, frame), Ok(frame.len()));
    }
}

fn pattern(seed: u8, size_bytes: usize) -> Vec<u8> {
    (0..size_bytes).map(|index| seed ^ index.to_le_bytes()[0]).collect()
}

#[test]
fn frames_leave_whole_and_in_order() {
    let mut link = Link::new();
    let sizes = [14, 60, 1514, 65_535];
    let mut frames = Vec::new();
    let mut at = link.data + 1;
    for (size_bytes, seed) in sizes.into_iter().zip(1..) {
        link.window.poke(at, &pattern(seed, size_bytes));
        frames.push(Frame::plain(at, u32::try_from(size_bytes).unwrap()));
        at += size_bytes as u64;
    }
    assert_eq!(link.send(&frames), 4);
    for (size_bytes, seed) in sizes.into_iter().zip(1..) {
        assert_eq!(link.sent_by_guest(), Some(pattern(seed, size_bytes)));
    }
    assert_eq!(link.sent_by_guest(), None);
}

#[test]
fn one_bad_descriptor_stops_all_of_them() {
    let mut link = Link::new();
    let good = Frame::plain(link.data, 60);
    let text = link.window.plan.region(RegionKind::Text).gva.0;
    let (inval, fault) = (Status::INVAL.to_result(), Status::FAULT.to_result());
    for (bad, status) in [
        (Frame::plain(link.data, 13), inval),
        (Frame::plain(link.data, 65_536), inval),
        (Frame { flags: 1, ..good }, inval),
        (Frame { gso_type: 1, gso_size: 1000, ..good }, inval),
        (Frame { csum_offset: 1, ..good }, inval),
        (Frame::plain(0x1000, 60), fault),
        (Frame::plain(u64::MAX - 10, 60), fault),
        (Frame::plain(link.window.plan.region(RegionKind::Heap).end().0 - 59, 60), fault),
    ] {
        assert_eq!(link.send(&[good, good, bad]), status, "{bad:?}");
        assert_eq!(link.sent_by_guest(), None);
    }
    // Read-only memory may be sent and not received into.
    assert_eq!(link.send(&[Frame::plain(text, 60)]), 1);
    assert_eq!(link.sent_by_guest(), Some(vec![0x5e; 60]));
    link.send_to_guest(&pattern(1, 60));
    assert_eq!(link.receive(&[Frame::plain(link.data, 60), Frame::plain(text, 60)]), fault);
    assert_eq!(link.receive(&[Frame::plain(link.data, 60)]), 1, "the refused call took no frame");
}

#[test]
fn received_frames_fill_their_length_and_nothing_behind_it() {
    let mut link = Link::new();
    link.window.poke(link.data, &[0xee; 4096]);
    link.send_to_guest(&pattern(1, 60));
    link.send_to_guest(&pattern(2, 100));
    let buffers = [0, 1, 2].map(|index| Frame::plain(link.data + index * 1000, 1000));
    assert_eq!(link.receive(&buffers), 2);
    for (index, (seed, size_bytes)) in [(1, 60), (2, 100)].into_iter().enumerate() {
        let index = index as u64;
        let expected = Frame::plain(link.data + index * 1000, u32::try_from(size_bytes).unwrap());
        assert_eq!(link.descriptor(index), expected);
        let mut content = pattern(seed, size_bytes);
        content.resize(1000, 0xee);
        assert_eq!(link.window.peek(link.data + index * 1000, 1000), content);
    }
    assert_eq!(link.descriptor(2), buffers[2], "no frame came for this one");
    assert_eq!(link.receive(&buffers), AGAIN);
}

#[test]
fn frames_that_do_not_fit_are_dropped_and_the_next_one_comes() {
    let mut link = Link::new();
    link.window.poke(link.data, &[0xee; 4096]);
    for (seed, size_bytes) in [(1, 101), (2, 65_535), (3, 13), (4, 100)] {
        link.send_to_guest(&pattern(seed, size_bytes));
    }
    assert_eq!(link.receive(&[Frame::plain(link.data, 100)]), 1);
    assert_eq!(link.descriptor(0).size_bytes, 100);
    let mut content = pattern(4, 100);
    content.extend([0xee; 3996]);
    assert_eq!(link.window.peek(link.data, 4096), content);
    assert_eq!(link.receive(&[Frame::plain(link.data, 100)]), AGAIN);
}

#[test]
fn count_zero_does_nothing_and_a_full_or_broken_link_says_so() {
    let mut link = Link::new();
    assert_eq!(link.send(&[]), 0);
    assert_eq!(link.receive(&[]), 0);
    assert_eq!(link.receive(&[Frame::plain(link.data, 100)]), AGAIN);
    // 64 frames at a time until the socket is full: then fewer, then none.
    let frames = [Frame::plain(link.data, 65_535); 64];
    let mut sent = 0;
    let last = loop {
        match link.send(&frames) {
            count if count > 0 => sent += count,
            status => break status,
        }
    };
    assert_eq!(last, AGAIN);
    for _ in 0..sent {
        assert_eq!(link.sent_by_guest().unwrap().len(), 65_535);
    }
    link.host = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap().0;
    assert_eq!(link.send(&frames), Status::IO.to_result());
    assert_eq!(link.receive(&frames), Status::IO.to_result());
}
