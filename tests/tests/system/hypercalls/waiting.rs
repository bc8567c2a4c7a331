//! `wait` and `clock`: level-triggered, sticky shut-down, deadlines by the guest's own clock.

use std::os::fd::OwnedFd;

use hvcall::call::ClockId;
use hvcall::{Call, Events, NicInfo, Status};
use loader::monitor::nic::Nic;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tests::Window;

fn with_nic() -> (Window, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (guest, host) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    (Window::new(vec![Nic::new(guest, NicInfo::default(), false)], Vec::new()), host)
}

fn wait(window: &mut Window, deadline_ns: u64, interest: Events) -> Events {
    let result = window.call(&Call::Wait { deadline_ns, interest });
    Events::from_bits_retain(Status::from_result(result).unwrap())
}

fn now(window: &mut Window) -> u64 {
    window.call(&Call::Clock(ClockId::Monotonic)).cast_unsigned()
}

/// A sleep until a passed deadline would be one for ever, or for a very long time: the test would not end.
#[test]
fn passed_deadlines_do_not_sleep() {
    let (mut window, _host) = with_nic();
    let passed = now(&mut window);
    for deadline_ns in [0, 1, passed] {
        assert_eq!(wait(&mut window, deadline_ns, Events::nic_receive(0)), Events::empty());
    }
}

#[test]
fn deadlines_end_a_sleep_and_not_before() {
    let (mut window, _host) = with_nic();
    let deadline_ns = now(&mut window) + 3_000_000;
    assert_eq!(wait(&mut window, deadline_ns, Events::nic_receive(0)), Events::empty());
    assert!(now(&mut window) >= deadline_ns);
}

#[test]
fn readiness_lasts_until_it_is_used_and_only_what_was_asked_for_is_reported() {
    let (mut window, host) = with_nic();
    assert_eq!(wait(&mut window, 0, Events::nic_transmit(0)), Events::nic_transmit(0));
    assert_eq!(wait(&mut window, 0, Events::nic_receive(0)), Events::empty());
    rustix::io::write(&host, &[0; 60]).unwrap();
    for _ in 0..2 {
        assert_eq!(wait(&mut window, u64::MAX, Events::nic_receive(0)), Events::nic_receive(0));
        assert_eq!(wait(&mut window, 0, Events::empty()), Events::empty());
    }
}

#[test]
fn a_nic_whose_other_end_is_gone_is_ready() {
    let (mut window, host) = with_nic();
    drop(host);
    assert_eq!(wait(&mut window, u64::MAX, Events::nic_receive(0)), Events::nic_receive(0));
}

#[test]
fn shutdown_is_reported_unasked_and_once_known_no_longer_ends_a_sleep() {
    let (mut window, _host) = with_nic();
    window.ask_to_end();
    assert_eq!(wait(&mut window, u64::MAX, Events::nic_receive(0)), Events::SHUTDOWN);
    // It stays visible, and does not cut a sleep short.
    let deadline_ns = now(&mut window) + 1_000_000;
    assert_eq!(wait(&mut window, deadline_ns, Events::nic_receive(0)), Events::SHUTDOWN);
    assert!(now(&mut window) >= deadline_ns);
    assert_eq!(wait(&mut window, u64::MAX, Events::SHUTDOWN), Events::SHUTDOWN);
}

#[test]
fn wall_clock_is_this_hosts() {
    let mut window = Window::new(Vec::new(), Vec::new());
    let host = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let before = host();
    let told = u128::from(window.call(&Call::Clock(ClockId::Wall)).cast_unsigned());
    assert!((before..=host()).contains(&told));
}
