//! Published ports.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt;
use smoltcp::socket::tcp::State;
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata};

use super::rig::{Guest, Options, Rig, bytes, dial, exchange, expect_reset, megabyte};

#[test]
fn a_published_port_carries_a_megabyte_both_ways_unchanged() {
    for publish in ["0:80", "[::1]:0:80"] {
        let mut rig = Rig::publish(&[publish]);
        let address = rig.helper.published[0];
        let host = thread::spawn(move || assert!(exchange(dial(address), &megabyte(1)) == megabyte(1)));
        rig.echo_until(80, host);
        rig.finish();
    }
}

#[test]
fn sixty_four_connections_at_a_time_do_not_mix() {
    let mut rig = Rig::publish(&["0:80"]);
    let address = rig.helper.published[0];
    let host = thread::spawn(move || {
        let streams: Vec<_> = (0..64).map(|_| dial(address)).collect();
        thread::scope(|scope| {
            for (seed, stream) in streams.into_iter().enumerate() {
                scope.spawn(move || {
                    let data = bytes(seed as u64, 100_000);
                    assert!(exchange(stream, &data) == data);
                });
            }
        });
    });
    rig.guest.listen(80, 64);
    rig.echo_until(80, host);
    rig.finish();
}

#[test]
fn a_thousand_connections_after_one_another_leave_nothing_behind() {
    let mut rig = Rig::publish(&["0:80"]);
    let address = rig.helper.published[0];
    let pid = rig.helper.pid;
    let host = thread::spawn(move || {
        let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).ok();
        assert_eq!(exchange(dial(address), b"first"), b"first");
        let before = descriptors();
        for _ in 0..1000 {
            assert_eq!(exchange(dial(address), b"hello"), b"hello");
        }
        // A connection's last acknowledgement may still be on its way.
        let tolerated = before.map(|count| count + 8);
        assert!(descriptors() <= tolerated, "{before:?} became {:?}", descriptors());
    });
    // The last acknowledgement may take 10 ms, in which the guest's socket is not free for the next one.
    rig.guest.listen(80, 64);
    rig.echo_until(80, host);
    rig.finish();
}

#[test]
fn the_guest_may_answer_after_the_callers_end() {
    let mut rig = Rig::publish(&["0:80"]);
    let mut stream = dial(rig.helper.published[0]);
    stream.write_all(b"question").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    rig.guest.listen(80, 1);
    let (handle, _) = rig.guest.listeners[0];
    rig.guest.until(|guest| guest.tcp(handle).state() == State::CloseWait);
    let socket = rig.guest.tcp(handle);
    let question = socket.recv(|data| (data.len(), data.to_vec())).unwrap();
    assert_eq!(question, b"question");
    socket.send_slice(b"answer").unwrap();
    socket.close();
    rig.guest.until(|guest| guest.tcp(handle).state() == State::Closed);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    rig.finish();
}

#[test]
fn the_caller_may_go_on_after_the_guests_end() {
    let mut rig = Rig::publish(&["0:80"]);
    let mut stream = dial(rig.helper.published[0]);
    rig.guest.listen(80, 1);
    let (handle, _) = rig.guest.listeners[0];
    rig.guest.until(|guest| guest.tcp(handle).state() == State::Established);
    rig.guest.tcp(handle).send_slice(b"all I say").unwrap();
    rig.guest.tcp(handle).close();
    let caller = thread::spawn(move || {
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        stream.write_all(&megabyte(3)).unwrap();
        said
    });
    let mut heard = Vec::new();
    rig.guest.until(|guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            socket.recv(|data| (data.len(), heard.extend_from_slice(data))).unwrap();
        }
        matches!(socket.state(), State::TimeWait | State::Closed)
    });
    assert_eq!(caller.join().unwrap(), "all I say");
    assert!(heard == megabyte(3));
    rig.finish();
}

#[test]
fn a_port_that_the_guest_does_not_listen_on_resets_the_caller() {
    let mut rig = Rig::publish(&["0:81"]);
    let address = rig.helper.published[0];
    let host = thread::spawn(move || expect_reset(dial(address)));
    rig.echo_until(80, host);
    rig.finish();
}

#[test]
fn a_caller_waits_for_a_guest_that_is_starting() {
    let mut rig = Rig::publish(&["0:80"]);
    let address = rig.helper.published[0];
    let host = thread::spawn(move || exchange(dial(address), b"early"));
    // The guest is up, and refuses, before it listens.
    let mut refusals = 0;
    rig.guest.until(|_| {
        refusals += 1;
        refusals > 100
    });
    assert!(!host.is_finished());
    assert_eq!(rig.echo_until(80, host), b"early");
    rig.finish();
}

#[test]
fn a_reset_is_passed_on_both_ways() {
    let mut rig = Rig::publish(&["0:80"]);
    let address = rig.helper.published[0];
    rig.guest.listen(80, 2);
    let [(first, _), (second, _)] = rig.guest.listeners[..] else { panic!("two listeners") };
    let stream = dial(address);
    rig.guest.until(|guest| guest.tcp(first).state() == State::Established);
    rig.guest.tcp(first).abort();
    let host = thread::spawn(move || expect_reset(stream));
    rig.guest.until(|_| host.is_finished());
    host.join().unwrap();
    let stream = dial(address);
    rig.guest.until(|guest| guest.tcp(second).state() == State::Established);
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    rig.guest.until(|guest| guest.tcp(second).state() == State::Closed);
    rig.finish();
}

#[test]
fn what_a_slow_guest_does_not_read_stays_with_the_caller() {
    let mut rig = Rig::publish(&["0:80"]);
    let mut stream = dial(rig.helper.published[0]);
    rig.guest.listen(80, 1);
    let (handle, _) = rig.guest.listeners[0];
    rig.guest.until(|guest| guest.tcp(handle).state() == State::Established);
    stream.set_nonblocking(true).unwrap();
    let (data, mut sent, mut idle) = (megabyte(4), 0_usize, 0);
    // The caller fills every buffer on the way, until nothing has moved for a while.
    rig.guest.until(|_| {
        let at = sent % data.len();
        match stream.write(&data[at..]) {
            Ok(taken) => (sent, idle) = (sent + taken, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => idle += 1,
            Err(error) => panic!("{error}"),
        }
        idle > 200
    });
    drop(stream);
    let mut heard = 0;
    rig.guest.until(|guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            let part = socket.recv(|part| (part.len(), part.to_vec())).unwrap();
            for byte in part {
                assert_eq!(byte, data[heard % data.len()]);
                heard += 1;
            }
        }
        socket.state() == State::CloseWait && !socket.can_recv()
    });
    assert_eq!(heard, sent);
    rig.finish();
}

#[test]
fn callers_beyond_the_table_wait_their_turn() {
    // 43 descriptors are room for 9 connections.
    let mut rig = Rig::new(&Options { publish: &["0:80"], descriptors: Some(43), ..Options::default() });
    let address = rig.helper.published[0];
    let host = thread::spawn(move || {
        let streams: Vec<_> = (0..30).map(|_| dial(address)).collect();
        for stream in streams {
            assert_eq!(exchange(stream, b"patience"), b"patience");
        }
    });
    rig.guest.listen(80, 30);
    rig.echo_until(80, host);
    rig.finish();
}

#[test]
fn published_udp_answers_each_caller() {
    let mut rig = Rig::publish(&["0:53/udp"]);
    let address = rig.helper.published[0];
    let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 16], vec![0; 64 * 1024]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(53).unwrap();
    let handle = rig.guest.sockets.add(socket);
    let host = thread::spawn(move || {
        let callers: Vec<_> = (0..8).map(|_| udp_caller(address)).collect();
        for (index, caller) in callers.iter().enumerate() {
            caller.send(&vec![u8::try_from(index).unwrap(); 1000 + index]).unwrap();
        }
        for (index, caller) in callers.iter().enumerate() {
            let mut answer = [0; 4096];
            let size = caller.recv(&mut answer).unwrap();
            assert_eq!(answer[..size], vec![u8::try_from(index).unwrap(); 1000 + index]);
        }
    });
    rig.guest.until(|guest| {
        echo_udp(guest, handle);
        host.is_finished()
    });
    host.join().unwrap();
    rig.finish();
}

pub(super) fn udp_caller(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

fn echo_udp(guest: &mut Guest, handle: smoltcp::iface::SocketHandle) {
    let socket: &mut udp::Socket<'_> = guest.sockets.get_mut(handle);
    while socket.can_recv() && socket.can_send() {
        let (data, from) = socket.recv().map(|(data, from)| (data.to_vec(), from.endpoint)).unwrap();
        socket.send_slice(&data, from).unwrap();
    }
}
