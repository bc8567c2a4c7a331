//! A call to a guest that answers with single segments, while the clock stands still or goes on as the test wants it.

use core::net::SocketAddr;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::epoll::EventFlags;
use smoltcp::phy::ChecksumCapabilities;
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

const GUEST_PORT: u16 = 80;
const PEER_PORT: u16 = 40_000;
/// Sequence number of the guest's first segment.
const GUEST_START: u32 = 1000;

/// A segment of the guest.
fn segment(control: TcpControl, seq: u32, ack: TcpSeqNumber, window: u16) -> Vec<u8> {
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
fn received(guest: &OwnedFd) -> (Option<TcpSeqNumber>, usize) {
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

/// A connection that a host makes to a guest.
pub(super) struct Call {
    pub(super) stack: Stack,
    /// Where the host's data begin.
    pub(super) start: TcpSeqNumber,
    agenda: Agenda,
    connection: Connection,
    guest: OwnedFd,
    host: UnixStream,
}

impl Call {
    /// The guest has got the first segment, and not answered yet.
    pub(super) fn new() -> Self {
        let (ours, guest) = frame_pair().unwrap();
        let mut stack = Stack::new(Link::new(ours), 1);
        let mut agenda = Agenda::default();
        let (ours, host) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let peer = SocketAddr::from((UserNet::GATEWAY_V4, PEER_PORT));
        let key = FlowKey { peer, guest_port: GUEST_PORT };
        let name = Name { index: 0, generation: 1 };
        let mut connection = Connection::inbound(name, key, ours.into(), &mut stack);
        let _ = connection.serve(&mut stack, &mut agenda);
        let (Some(start), 1) = received(&guest) else { panic!("no call") };
        Self { stack, start, agenda, connection, guest, host }
    }

    /// The guest answers the call.
    pub(super) fn answer(&mut self, window: u16) {
        let segment = segment(TcpControl::Syn, GUEST_START, self.start, window);
        self.connection.receive(&mut self.stack, &segment, false);
    }

    /// The guest acknowledges what comes before `ack`.
    pub(super) fn acknowledge(&mut self, ack: TcpSeqNumber, window: u16) {
        let segment = segment(TcpControl::None, GUEST_START + 1, ack, window);
        self.connection.receive(&mut self.stack, &segment, false);
    }

    /// The host says so many bytes and is done.
    pub(super) fn say_all(&mut self, size_bytes: usize) {
        self.host.write_all(&vec![7; size_bytes]).unwrap();
        self.host.shutdown(Shutdown::Write).unwrap();
        self.connection.note(EventFlags::IN | EventFlags::RDHUP);
    }

    /// Serves the connection once: what became of it, the sequence number behind the last of the segments that have come to the guest, and how
    /// many they were.
    pub(super) fn serve(&mut self) -> (Served, Option<TcpSeqNumber>, usize) {
        let served = self.connection.serve(&mut self.stack, &mut self.agenda);
        let (next, count) = received(&self.guest);
        (served, next, count)
    }
}
