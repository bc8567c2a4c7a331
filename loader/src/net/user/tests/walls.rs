//! What a helper that a guest has taken over could still do.
#![expect(unsafe_code, reason = "forks, and makes the system calls that the sandbox refuses")]

use std::fs::File;
use std::os::fd::AsRawFd;

use super::super::sandbox::{self, Needs};
use super::rig::{HelperProcess, Rig, wait_status};
use crate::exit;
use hvcall::ExitCode;

/// Runs `crime` in a sandboxed child and returns its wait status: 0 if it got away with it.
fn commit(outbound: bool, crime: impl FnOnce()) -> i32 {
    // SAFETY: the child makes a few system calls and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let needs = Needs { keep: &[], outbound, tcp_ports: &[] };
        let entered = sandbox::enter(&needs).is_ok();
        crime();
        exit::at_once(ExitCode(u8::from(!entered)));
    }
    wait_status(pid)
}

fn call(number: libc::c_long, arguments: [i32; 3]) {
    // SAFETY: the arguments are integers, or null pointers that the kernel would refuse.
    unsafe { libc::syscall(number, arguments[0], arguments[1], arguments[2], 0, 0, 0) };
}

const SOCKET_FLAGS: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

#[test]
fn the_sandbox_kills_what_a_helper_has_no_need_for() {
    for (name, number) in [
        ("open", libc::SYS_open),
        ("openat", libc::SYS_openat),
        ("openat2", libc::SYS_openat2),
        ("creat", libc::SYS_creat),
        ("unlink", libc::SYS_unlink),
        ("stat", libc::SYS_stat),
        ("execve", libc::SYS_execve),
        ("execveat", libc::SYS_execveat),
        ("fork", libc::SYS_fork),
        ("vfork", libc::SYS_vfork),
        ("clone", libc::SYS_clone),
        ("clone3", libc::SYS_clone3),
        ("ptrace", libc::SYS_ptrace),
        ("ioctl", libc::SYS_ioctl),
        ("kill", libc::SYS_kill),
        ("tgkill", libc::SYS_tgkill),
        ("bind", libc::SYS_bind),
        ("listen", libc::SYS_listen),
        ("memfd_create", libc::SYS_memfd_create),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("io_uring_enter", libc::SYS_io_uring_enter),
        ("prctl", libc::SYS_prctl),
        ("seccomp", libc::SYS_seccomp),
        ("setrlimit", libc::SYS_setrlimit),
        ("prlimit64", libc::SYS_prlimit64),
        ("read", libc::SYS_read),
        ("readv", libc::SYS_readv),
        ("pread64", libc::SYS_pread64),
        ("pwrite64", libc::SYS_pwrite64),
        ("sendmsg", libc::SYS_sendmsg),
        ("recvmsg", libc::SYS_recvmsg),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
        ("dup", libc::SYS_dup),
        ("dup2", libc::SYS_dup2),
        ("dup3", libc::SYS_dup3),
        ("getpid", libc::SYS_getpid),
        ("rt_sigaction", libc::SYS_rt_sigaction),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
        ("mount", libc::SYS_mount),
        ("chroot", libc::SYS_chroot),
        ("bpf", libc::SYS_bpf),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("pkey_mprotect", libc::SYS_pkey_mprotect),
        ("epoll_create1", libc::SYS_epoll_create1),
        ("pipe2", libc::SYS_pipe2),
        ("socketpair", libc::SYS_socketpair),
        ("nanosleep", libc::SYS_nanosleep),
        ("reboot", libc::SYS_reboot),
        ("exit", libc::SYS_exit),
    ] {
        assert_eq!(commit(true, || call(number, [0; 3])), libc::SIGSYS, "{name}");
    }
}

#[test]
fn sockets_can_be_made_only_under_a_rule_and_only_of_two_kinds() {
    let tcp = [libc::AF_INET, libc::SOCK_STREAM | SOCKET_FLAGS, libc::IPPROTO_TCP];
    assert_eq!(commit(true, || call(libc::SYS_socket, tcp)), 0);
    assert_eq!(commit(false, || call(libc::SYS_socket, tcp)), libc::SIGSYS, "no rule");
    assert_eq!(commit(false, || call(libc::SYS_connect, [0; 3])), libc::SIGSYS, "no rule");
    for (name, arguments) in [
        ("raw", [libc::AF_INET, libc::SOCK_RAW | SOCKET_FLAGS, libc::IPPROTO_TCP]),
        ("unix", [libc::AF_UNIX, libc::SOCK_STREAM | SOCKET_FLAGS, 0]),
        ("netlink", [libc::AF_NETLINK, libc::SOCK_DGRAM | SOCKET_FLAGS, 0]),
        ("packet", [libc::AF_PACKET, libc::SOCK_DGRAM | SOCKET_FLAGS, 0]),
        ("sctp", [libc::AF_INET, libc::SOCK_STREAM | SOCKET_FLAGS, 132]),
        ("blocking", [libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP]),
    ] {
        assert_eq!(commit(true, || call(libc::SYS_socket, arguments)), libc::SIGSYS, "{name}");
    }
}

#[test]
fn executable_memory_is_refused() {
    let map = |protection| {
        move || {
            // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
            unsafe {
                libc::mmap(
                    core::ptr::null_mut(),
                    4096,
                    protection,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
        }
    };
    assert_eq!(commit(false, map(libc::PROT_READ | libc::PROT_WRITE)), 0);
    assert_eq!(commit(false, map(libc::PROT_READ | libc::PROT_EXEC)), libc::SIGSYS);
}

#[test]
fn inherited_descriptors_are_gone() {
    let secret = File::open("/proc/self/exe").unwrap();
    let fd = secret.as_raw_fd();
    let status = commit(false, || {
        // SAFETY: asks about a descriptor, changes nothing.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags >= 0 {
            exit::at_once(ExitCode(9));
        }
    });
    assert_eq!(status, 0);
}

#[test]
fn a_running_helper_has_the_walls_up_and_ignores_signals() {
    let rig = Rig::publish(&["0:80"]);
    let HelperProcess { pid, .. } = rig.helper;
    // The answer to a first frame says that the loop runs, behind the walls.
    rig.guest.wire.send_frame(&super::hostile::who_has(super::super::UserNet::GATEWAY_V4));
    while rig.guest.wire.receive_frame().is_none() {
        std::thread::yield_now();
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "Threads:\t1",
    ] {
        assert!(status.contains(line), "{line} in:\n{status}");
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: sends a signal to the child process that this test started.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
    rig.finish();
}
