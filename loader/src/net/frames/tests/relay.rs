//! The relay process, with socket pairs on both sides.
#![expect(unsafe_code, reason = "forks, and makes the system calls that the sandbox refuses")]

use std::os::fd::{AsRawFd as _, OwnedFd};

use hvcall::ExitCode;

use super::super::relay::{Relay, enter};
use super::build::*;
use crate::exit;
use crate::net::user::frame_pair;

fn wait_status(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: waits for a child of this test and writes one integer.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// Starts a relay and gives the ends of the guest and of the network.
fn start(allow: &[&str], vnet_header: bool) -> (i32, OwnedFd, OwnedFd) {
    let (guest, inside) = frame_pair().unwrap();
    let (network, outside) = frame_pair().unwrap();
    let name = "test".to_owned();
    let relay = Relay { policy: policy(allow, &[]), outside, vnet_header, name, verbose: false };
    // SAFETY: the child serves its sockets and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        relay.run(inside);
    }
    (pid, guest, network)
}

fn receive(from: &OwnedFd) -> Vec<u8> {
    let mut frame = vec![0; 70_000];
    loop {
        match rustix::io::read(from, &mut frame[..]) {
            Ok(size_bytes) => {
                frame.truncate(size_bytes);
                return frame;
            }
            Err(rustix::io::Errno::AGAIN) => std::thread::yield_now(),
            Err(errno) => panic!("{errno}"),
        }
    }
}

#[test]
fn frames_inside_the_policy_arrive_unchanged_and_others_do_not() {
    let (pid, guest, network) = start(&["tcp:10.0.0.9:443"], false);
    let inside = out("10.0.0.9", 6, &tcp(50_000, 443, SYN, b"hello"));
    let outside = out("10.0.0.9", 6, &tcp(50_000, 80, SYN, b"hello"));
    for _ in 0..100 {
        rustix::io::write(&guest, &outside).unwrap();
        rustix::io::write(&guest, &inside).unwrap();
        assert_eq!(receive(&network), inside);
    }
    let answer = to_guest("10.0.0.9", 6, &tcp(443, 50_000, ACK, b"hello yourself"));
    rustix::io::write(&network, &to_guest("10.0.0.8", 6, &tcp(443, 50_000, ACK, b"no"))).unwrap();
    rustix::io::write(&network, &answer).unwrap();
    assert_eq!(receive(&guest), answer);
    // What the guest has sent before its end still arrives.
    for _ in 0..200 {
        rustix::io::write(&guest, &inside).unwrap();
    }
    drop(guest);
    for _ in 0..200 {
        assert_eq!(receive(&network), inside);
    }
    assert_eq!(receive(&network), b"", "the end");
    assert_eq!(wait_status(pid), 0);
}

#[test]
fn a_frame_behind_its_offload_header_arrives_with_it_and_no_other() {
    let (pid, guest, network) = start(&["tcp:10.0.0.9:443"], true);
    let frame = out("10.0.0.9", 6, &tcp(50_000, 443, ACK, &[7; 200]));
    let behind = |header: [u8; 10]| [&header[..], &frame].concat();
    let good = behind([1, 1, 54, 0, 100, 0, 34, 0, 16, 0]);
    for bad in [behind([1, 0, 0, 0, 0, 0, 20, 0, 16, 0]), frame.clone(), good[..9].to_vec()] {
        rustix::io::write(&guest, &bad).unwrap();
        rustix::io::write(&guest, &good).unwrap();
        assert_eq!(receive(&network), good);
    }
    let answer = to_guest("10.0.0.9", 6, &tcp(443, 50_000, ACK, &[7; 200]));
    let answer = [&[1, 0x81, 54, 0, 100, 0, 34, 0, 16, 0][..], &answer].concat();
    rustix::io::write(&network, &answer).unwrap();
    assert_eq!(receive(&guest), answer);
    drop((guest, network));
    assert_eq!(wait_status(pid), 0);
}

#[test]
fn a_network_that_goes_ends_the_relay() {
    let (pid, guest, network) = start(&[], false);
    drop(network);
    assert_eq!(receive(&guest), b"", "the end");
    assert_eq!(wait_status(pid), 0);
}

#[test]
fn a_relay_that_a_frame_has_taken_over_can_pass_frames_and_nothing_else() {
    let (inside, _guest) = frame_pair().unwrap();
    let (outside, _network) = frame_pair().unwrap();
    let fds = [inside.as_raw_fd(), outside.as_raw_fd()];
    let commit = |call: &dyn Fn()| {
        // SAFETY: the child makes a few system calls and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let entered = enter(fds).is_ok();
            call();
            exit::at_once(ExitCode(u8::from(!entered)));
        }
        wait_status(pid)
    };
    let syscall = |number: libc::c_long, first: i32| {
        // SAFETY: the arguments are integers, or null pointers that the kernel would refuse.
        unsafe { libc::syscall(number, first, 0, 0, 0, 0, 0) };
    };
    for number in [
        libc::SYS_open,
        libc::SYS_openat,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_recvmsg,
        libc::SYS_execve,
        libc::SYS_fork,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_ptrace,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_ioctl,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_brk,
        libc::SYS_dup,
        libc::SYS_getpid,
        libc::SYS_prctl,
        libc::SYS_seccomp,
        libc::SYS_io_uring_setup,
        libc::SYS_memfd_create,
        libc::SYS_pidfd_getfd,
        libc::SYS_setsockopt,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_close,
    ] {
        assert_eq!(commit(&|| syscall(number, fds[0])), libc::SIGSYS, "{number}");
    }
    for number in [libc::SYS_read, libc::SYS_write] {
        assert_eq!(commit(&|| syscall(number, fds[0])), 0, "{number}");
        assert_eq!(commit(&|| syscall(number, fds[1])), 0, "{number}");
        for other in [0, 1, 2, fds[0].max(fds[1]) + 1] {
            assert_eq!(commit(&|| syscall(number, other)), libc::SIGSYS, "{number} of {other}");
        }
    }
}
