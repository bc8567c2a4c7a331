//! A connection at its end, with a guest that keeps its window shut.

use core::net::SocketAddr;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::event::epoll::EventFlags;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{
    IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::super::agenda::{Agenda, Name};
use super::super::connection::{Connection, Served};
use super::super::link::{Link, MESSAGE_BYTES};
use super::super::packet::FlowKey;
use super::super::stack::Stack;
use super::super::{UserNet, frame_pair};
use super::rig::finish_frame;

pub(super) const GUEST_PORT: u16 = 80;
pub(super) const PEER_PORT: u16 = 40_000;
/// What the guest takes at first.
pub(super) const WINDOW: u16 = 10;

/// A segment of the guest.
pub(super) fn segment(control: TcpControl, seq: u32, ack: TcpSeqNumber, window: u16) -> Vec<u8> {
    let (from, to) = (UserNet::GUEST_V4, UserNet::GATEWAY_V4);
    let tcp = TcpRepr {
        src_port: GUEST_PORT,
        dst_port: PEER_PORT,
        control,
        seq_number: TcpSeqNumber(seq.cast_signed()),
        ack_number: Some(ack),
        window_len: window,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let mut packet = vec![0; 20 + tcp.buffer_len()];
    let checksums = ChecksumCapabilities::default();
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &checksums);
    let addresses = (IpAddress::Ipv4(from), IpAddress::Ipv4(to));
    tcp.emit(&mut TcpPacket::new_unchecked(&mut packet[20..]), &addresses.0, &addresses.1, &checksums);
    packet
}

/// Sequence number behind the last of the segments that have come to the guest, and how many they were.
pub(super) fn received(guest: &std::os::fd::OwnedFd) -> (Option<TcpSeqNumber>, usize) {
    let (mut next, mut count) = (None, 0);
    let mut message = vec![0; MESSAGE_BYTES];
    while let Ok(size_bytes) = rustix::io::read(guest, &mut message[..]) {
        let frame = finish_frame(&message[..size_bytes]);
        let ip = Ipv4Packet::new_checked(&frame[14..]).unwrap();
        let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
        next = Some(tcp.seq_number() + tcp.segment_len());
        count += 1;
    }
    (next, count)
}

/// With the clock standing still, it comes to rest. It would go on for ever, a window probe each time, and take the helper's whole
/// time.
#[test]
fn a_shut_window_after_the_end_of_a_stream_is_no_storm() {
    let (ours, guest) = frame_pair().unwrap();
    let mut stack = Stack::new(Link::new(ours), 1);
    let mut agenda = Agenda::default();
    let (host, mut caller) = UnixStream::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    let peer = SocketAddr::from((UserNet::GATEWAY_V4, PEER_PORT));
    let key = FlowKey { peer, guest_port: GUEST_PORT };
    let mut connection = Connection::inbound(Name { index: 0, generation: 1 }, key, host.into(), &mut stack);
    let _ = connection.serve(&mut stack, &mut agenda);
    let (Some(ack), 1) = received(&guest) else { panic!("no call") };
    connection.receive(&mut stack, &segment(TcpControl::Syn, 1000, ack, WINDOW), false);
    let _ = connection.serve(&mut stack, &mut agenda);
    // The caller says more than the guest's window takes, by one byte, and is done. The guest takes it, shuts its window, and takes
    // the rest with the probes that follow, the end of the stream as well.
    caller.write_all(&[7; WINDOW as usize + 1]).unwrap();
    caller.shutdown(Shutdown::Write).unwrap();
    connection.note(EventFlags::IN | EventFlags::RDHUP);
    for _ in 0..8 {
        let _ = connection.serve(&mut stack, &mut agenda);
        if let (Some(ack), _) = received(&guest) {
            connection.receive(&mut stack, &segment(TcpControl::None, 1001, ack, 0), false);
        }
        stack.now += Duration::from_secs(2);
    }
    let mut segments = 0;
    for _ in 0..100 {
        stack.now += Duration::from_millis(1);
        let served = connection.serve(&mut stack, &mut agenda);
        segments += received(&guest).1;
        if served == Served::Waits {
            assert!(segments <= 64, "{segments} segments about nothing");
            return;
        }
        assert_eq!(served, Served::More);
    }
    panic!("it never rests, and has sent {segments} segments");
}
