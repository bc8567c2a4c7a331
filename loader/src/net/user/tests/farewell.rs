//! A host that has said all and is gone, and a guest that takes its time to listen.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::epoll::EventFlags;
use smoltcp::time::Duration;
use smoltcp::wire::{TcpControl, TcpSeqNumber};

use super::super::agenda::{Agenda, Name};
use super::super::connection::{Connection, Served};
use super::super::link::Link;
use super::super::packet::FlowKey;
use super::super::stack::Stack;
use super::super::{UserNet, frame_pair};
use super::storm::{GUEST_PORT, PEER_PORT, WINDOW, received, segment};

const DATA_BYTES: usize = 8 * WINDOW as usize;

/// A connection whose host has said `DATA_BYTES` and its end at once.
struct Farewell {
    stack: Stack,
    agenda: Agenda,
    connection: Connection,
    guest: OwnedFd,
    /// Where what the host said begins.
    start: TcpSeqNumber,
    _caller: UnixStream,
}

impl Farewell {
    fn new() -> Self {
        let (ours, guest) = frame_pair().unwrap();
        let mut stack = Stack::new(Link::new(ours), 1);
        let mut agenda = Agenda::default();
        let (host, mut caller) = UnixStream::pair().unwrap();
        host.set_nonblocking(true).unwrap();
        let peer = SocketAddr::from((UserNet::GATEWAY_V4, PEER_PORT));
        let key = FlowKey { peer, guest_port: GUEST_PORT };
        let name = Name { index: 0, generation: 1 };
        let mut connection = Connection::inbound(name, key, host.into(), &mut stack);
        let _ = connection.serve(&mut stack, &mut agenda);
        let (Some(start), 1) = received(&guest) else { panic!("no call") };
        caller.write_all(&[7; DATA_BYTES]).unwrap();
        caller.shutdown(Shutdown::Write).unwrap();
        connection.note(EventFlags::IN | EventFlags::RDHUP);
        connection.receive(&mut stack, &segment(TcpControl::Syn, 1000, start, WINDOW), false);
        Self { stack, agenda, connection, guest, start, _caller: caller }
    }

    /// Lets the helper do what it has to, and says what became of the connection and what the guest has heard.
    fn serve(&mut self) -> (Served, Option<TcpSeqNumber>) {
        let mut heard = None;
        for _ in 0..64 {
            let served = self.connection.serve(&mut self.stack, &mut self.agenda);
            heard = received(&self.guest).0.or(heard);
            if served != Served::More {
                return (served, heard);
            }
        }
        panic!("it never rests");
    }
}

#[test]
fn a_slow_guest_hears_all_that_the_host_has_said() {
    let mut farewell = Farewell::new();
    let end = farewell.start + DATA_BYTES + 1;
    // A window a minute: eight minutes in all.
    for minute in 0..20 {
        let (served, heard) = farewell.serve();
        assert_eq!(served, Served::Waits, "minute {minute}");
        let heard = heard.unwrap_or(farewell.start);
        farewell.connection.receive(
            &mut farewell.stack,
            &segment(TcpControl::None, 1001, heard, WINDOW),
            false,
        );
        if heard == end {
            return;
        }
        farewell.stack.now += Duration::from_secs(60);
    }
    panic!("the guest has not heard all");
}

#[test]
fn a_guest_that_listens_no_more_is_given_up() {
    let mut farewell = Farewell::new();
    for _ in 0..2 {
        assert_eq!(farewell.serve().0, Served::Waits);
        farewell.stack.now += Duration::from_secs(61);
    }
    assert_eq!(farewell.serve().0, Served::Over);
}
