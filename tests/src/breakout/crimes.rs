//! The system calls that are tried.

use std::ffi::c_long;

use super::Targets;
use crate::Backend;

/// One system call, with its name for a table.
#[derive(Clone, Copy)]
pub struct Crime {
    /// What is tried.
    pub name: &'static str,
    /// What has to come of it.
    pub expected: Expected,
    pub(super) commit: fn(&Targets),
}

impl std::fmt::Debug for Crime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

/// What has to come of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The monitor is killed.
    Killed,
    /// The monitor is killed if it has no disk, and goes on if it has one: the call is a disk's.
    Disk,
    /// The monitor goes on. These show that it is the sandbox that kills, and not something else.
    Allowed,
}

/// KVM's ioctls (include/uapi/linux/kvm.h): `_IO(KVMIO, 0x01)`, `_IO(KVMIO, 0x41)`, `_IO(KVMIO, 0x80)`,
/// `_IOW(KVMIO, 0x46, struct kvm_userspace_memory_region)`, `_IOW(KVMIO, 0x82, struct kvm_regs)`,
/// `_IOW(KVMIO, 0x84, struct kvm_sregs)`.
const KVM_CREATE_VM: c_long = 0xae01;
const KVM_CREATE_VCPU: c_long = 0xae41;
const KVM_RUN: c_long = 0xae80;
const KVM_SET_USER_MEMORY_REGION: c_long = 0x4020_ae46;
const KVM_SET_REGS: c_long = 0x4090_ae82;
const KVM_SET_SREGS: c_long = 0x4138_ae84;
/// `SECCOMP_IOCTL_NOTIF_ADDFD` = `_IOW('!', 3, struct seccomp_notif_addfd)` (include/uapi/linux/seccomp.h).
const NOTIF_ADDFD: c_long = 0x4018_2103;
/// `SECCOMP_IOCTL_NOTIF_RECV` = `_IOWR('!', 0, struct seccomp_notif)`.
const NOTIF_RECV: c_long = 0xc050_2100;
/// Of a terminal, and of anything that can be read (include/uapi/asm-generic/ioctls.h).
const TCGETS: c_long = 0x5401;
const FIONREAD: c_long = 0x541b;
/// Number of getpid for 32-bit code, and the bit that marks calls of the x32 kind.
const I386_GETPID: u32 = 20;
const X32_BIT: c_long = 0x4000_0000;

/// Every call that is tried on a backend.
pub fn all(backend: Backend) -> impl Iterator<Item = &'static Crime> {
    let own = match backend {
        Backend::Kvm => KVM,
        Backend::Process => PROCESS,
    };
    COMMON.iter().chain([&BY_INTERRUPT]).chain(own)
}

fn call(number: c_long, arguments: [c_long; 6]) {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the arguments are integers, null pointers, and pointers to statics that the kernel would only read. What it would do with
    // the integers is what the sandbox has to prevent; this process was made for the attempt.
    unsafe { libc::syscall(number, a, b, c, d, e, f) };
}

fn fd(fd: i32) -> c_long {
    c_long::from(fd)
}

/// Rows of a table: name, fate, call and arguments. The descriptors that they name are those of the monitor.
macro_rules! crimes {
    ($($name:literal $expected:ident $targets:ident => $number:expr, [$($argument:expr),* $(,)?];)+) => {
        &[$(Crime {
            name: $name,
            expected: Expected::$expected,
            commit: |$targets| {
                let _: &Targets = $targets;
                let mut arguments: [c_long; 6] = [0; 6];
                let given: &[c_long] = &[$($argument),*];
                arguments[..given.len()].copy_from_slice(given);
                call($number, arguments);
            },
        }),+]
    };
}

/// Where a time or a signal mask of nothing lies.
fn zeros() -> c_long {
    static ZEROS: [u64; 2] = [0; 2];
    c_long::try_from(ZEROS.as_ptr().addr()).unwrap_or(0)
}

/// A path that is there.
fn path() -> c_long {
    c_long::try_from(c"/".as_ptr().addr()).unwrap_or(0)
}

static KVM: &[Crime] = crimes! {
    "KVM_CREATE_VM on the vCPU" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_CREATE_VM];
    "KVM_CREATE_VCPU" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_CREATE_VCPU];
    "KVM_SET_USER_MEMORY_REGION" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_SET_USER_MEMORY_REGION];
    "KVM_SET_REGS" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_SET_REGS];
    "KVM_SET_SREGS" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_SET_SREGS];
    "KVM_RUN on the NIC" Killed targets => libc::SYS_ioctl, [fd(targets.nic), KVM_RUN];
    "KVM_RUN on standard error" Killed _targets => libc::SYS_ioctl, [2, KVM_RUN];
    "KVM_RUN with upper bits" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), 1 << 32 | KVM_RUN];
};

static PROCESS: &[Crime] = crimes! {
    "KVM_RUN" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_RUN];
    "KVM_CREATE_VM" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), KVM_CREATE_VM];
    "a descriptor for the guest" Killed targets => libc::SYS_ioctl, [fd(targets.vcpu), NOTIF_ADDFD];
    "a notification of the NIC" Killed targets => libc::SYS_ioctl, [fd(targets.nic), NOTIF_RECV];
};

static COMMON: &[Crime] = crimes! {
        "reading the clock's timer" Disk targets => libc::SYS_readv, [fd(targets.clock), zeros(), 0];
        "setting the clock's timer" Killed targets => libc::SYS_timerfd_settime, [fd(targets.clock)];
        "writing to the clock's timer" Killed targets => libc::SYS_writev, [fd(targets.clock), zeros(), 0];
        "open" Killed _targets => libc::SYS_open, [path()];
        "openat" Killed _targets => libc::SYS_openat, [fd(libc::AT_FDCWD), path()];
        "openat2" Killed _targets => libc::SYS_openat2, [];
        "creat" Killed _targets => libc::SYS_creat, [];
        "unlink" Killed _targets => libc::SYS_unlink, [];
        "mkdir" Killed _targets => libc::SYS_mkdir, [];
        "stat" Killed _targets => libc::SYS_stat, [];
        "name_to_handle_at" Killed _targets => libc::SYS_name_to_handle_at, [];
        "mount" Killed _targets => libc::SYS_mount, [];
        "chroot" Killed _targets => libc::SYS_chroot, [];
        "socket" Killed _targets => libc::SYS_socket, [fd(libc::AF_INET), fd(libc::SOCK_STREAM)];
        "socket of packets" Killed _targets => libc::SYS_socket, [fd(libc::AF_PACKET), fd(libc::SOCK_RAW)];
        "socketpair" Killed _targets => libc::SYS_socketpair, [];
        "connect" Killed targets => libc::SYS_connect, [fd(targets.nic)];
        "bind" Killed targets => libc::SYS_bind, [fd(targets.nic)];
        "sendto" Killed targets => libc::SYS_sendto, [fd(targets.nic)];
        "sendmsg" Killed targets => libc::SYS_sendmsg, [fd(targets.nic)];
        "recvmsg" Killed targets => libc::SYS_recvmsg, [fd(targets.nic)];
        "execve" Killed _targets => libc::SYS_execve, [path()];
        "execveat" Killed _targets => libc::SYS_execveat, [];
        "fork" Killed _targets => libc::SYS_fork, [];
        "vfork" Killed _targets => libc::SYS_vfork, [];
        "clone" Killed _targets => libc::SYS_clone, [fd(libc::SIGCHLD)];
        "clone3" Killed _targets => libc::SYS_clone3, [];
        "ptrace" Killed _targets => libc::SYS_ptrace, [];
        "process_vm_readv" Killed _targets => libc::SYS_process_vm_readv, [];
        "process_vm_writev" Killed _targets => libc::SYS_process_vm_writev, [];
        "pidfd_open" Killed _targets => libc::SYS_pidfd_open, [1];
        "pidfd_getfd" Killed _targets => libc::SYS_pidfd_getfd, [];
        "kcmp" Killed _targets => libc::SYS_kcmp, [];
        "mmap, executable" Killed _targets => libc::SYS_mmap, [0, 4096, fd(libc::PROT_READ | libc::PROT_EXEC), fd(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), -1];
        "mmap, writable" Killed _targets => libc::SYS_mmap, [0, 4096, fd(libc::PROT_READ | libc::PROT_WRITE), fd(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), -1];
        "mprotect" Killed _targets => libc::SYS_mprotect, [0, 4096, fd(libc::PROT_EXEC)];
        "pkey_mprotect" Killed _targets => libc::SYS_pkey_mprotect, [];
        "munmap" Killed _targets => libc::SYS_munmap, [0, 4096];
        "mremap" Killed _targets => libc::SYS_mremap, [];
        "brk" Killed _targets => libc::SYS_brk, [];
        "memfd_create" Killed _targets => libc::SYS_memfd_create, [];
        "userfaultfd" Killed _targets => libc::SYS_userfaultfd, [];
        "io_uring_setup" Killed _targets => libc::SYS_io_uring_setup, [];
        "bpf" Killed _targets => libc::SYS_bpf, [];
        "perf_event_open" Killed _targets => libc::SYS_perf_event_open, [];
        "kill" Killed _targets => libc::SYS_kill, [1, 0];
        "tgkill" Killed _targets => libc::SYS_tgkill, [];
        "pidfd_send_signal" Killed _targets => libc::SYS_pidfd_send_signal, [];
        "rt_sigaction" Killed _targets => libc::SYS_rt_sigaction, [];
        "rt_sigprocmask" Killed _targets => libc::SYS_rt_sigprocmask, [];
        "getpid" Killed _targets => libc::SYS_getpid, [];
        "gettid" Killed _targets => libc::SYS_gettid, [];
        "setuid" Killed _targets => libc::SYS_setuid, [];
        "capset" Killed _targets => libc::SYS_capset, [];
        "prctl" Killed _targets => libc::SYS_prctl, [fd(libc::PR_SET_DUMPABLE), 1];
        "arch_prctl" Killed _targets => libc::SYS_arch_prctl, [];
        "seccomp" Killed _targets => libc::SYS_seccomp, [];
        "landlock_create_ruleset" Killed _targets => libc::SYS_landlock_create_ruleset, [0, 0, 1];
        "unshare" Killed _targets => libc::SYS_unshare, [];
        "setns" Killed _targets => libc::SYS_setns, [];
        "setrlimit" Killed _targets => libc::SYS_setrlimit, [];
        "prlimit64" Killed _targets => libc::SYS_prlimit64, [];
        "dup" Killed targets => libc::SYS_dup, [fd(targets.nic)];
        "dup2" Killed targets => libc::SYS_dup2, [fd(targets.nic), fd(targets.signals)];
        "fcntl" Killed targets => libc::SYS_fcntl, [fd(targets.nic), fd(libc::F_DUPFD)];
        "close" Killed targets => libc::SYS_close, [fd(targets.nic)];
        "epoll_create1" Killed _targets => libc::SYS_epoll_create1, [];
        "pipe2" Killed _targets => libc::SYS_pipe2, [];
        "splice" Killed targets => libc::SYS_splice, [fd(targets.signals), 0, fd(targets.nic)];
        "read of the signals" Killed targets => libc::SYS_read, [fd(targets.signals)];
        "write to standard error" Killed _targets => libc::SYS_write, [2, 0, 0];
        "ioctl of standard error" Killed _targets => libc::SYS_ioctl, [2, TCGETS];
        "ioctl of the console" Killed targets => libc::SYS_ioctl, [fd(targets.console), FIONREAD];
        "readv from the console" Killed targets => libc::SYS_readv, [fd(targets.console), 0, 1];
        "readv from standard input" Killed _targets => libc::SYS_readv, [0, 0, 1];
        "readv of too many parts" Killed targets => libc::SYS_readv, [fd(targets.nic), 0, 1024];
        "writev to the signals" Killed targets => libc::SYS_writev, [fd(targets.signals), 0, 1];
        "writev to the vCPU" Killed targets => libc::SYS_writev, [fd(targets.vcpu), 0, 1];
        "writev to standard output" Killed _targets => libc::SYS_writev, [1, 0, 1];
        "writev to a descriptor that is not open" Killed _targets => libc::SYS_writev, [1000, 0, 1];
        "pwritev" Killed targets => libc::SYS_pwritev, [fd(targets.disk), 0, 1];
        "pwrite64 to the NIC" Killed targets => libc::SYS_pwrite64, [fd(targets.nic), 0, 1];
        "pread64 of the NIC" Killed targets => libc::SYS_pread64, [fd(targets.nic), 0, 0];
        "pwrite64 far behind the disk" Killed targets => libc::SYS_pwrite64, [fd(targets.disk), 0, 1, 1 << 40];
        "pwrite64 of too much" Killed targets => libc::SYS_pwrite64, [fd(targets.disk), 0, 1 << 21, 0];
        "fallocate that makes the disk larger" Killed targets => libc::SYS_fallocate, [fd(targets.disk), 0, 0, 1 << 30];
        "ftruncate" Killed targets => libc::SYS_ftruncate, [fd(targets.disk), 0];
        "ppoll with a signal mask" Killed _targets => libc::SYS_ppoll, [0, 0, zeros(), zeros(), 8];
        "ppoll of too many" Killed _targets => libc::SYS_ppoll, [0, 1024];
        "getrandom of too much" Killed _targets => libc::SYS_getrandom, [0, 1 << 20, 0];
        "a system call without a number" Killed _targets => 100_000, [];
        "a system call of the x32 kind" Killed _targets => X32_BIT | libc::SYS_getpid, [];
        "clock_gettime" Killed _targets => libc::SYS_clock_gettime, [];
        "nanosleep" Killed _targets => libc::SYS_nanosleep, [];
        "sched_setaffinity" Killed _targets => libc::SYS_sched_setaffinity, [];
        "reboot" Killed _targets => libc::SYS_reboot, [];
        "exit of the thread" Killed _targets => libc::SYS_exit, [0];
        "pread64 of the disk" Disk targets => libc::SYS_pread64, [fd(targets.disk), 0, 16, 0];
        "fdatasync of the disk" Disk targets => libc::SYS_fdatasync, [fd(targets.disk)];
        "getrandom" Allowed _targets => libc::SYS_getrandom, [0, 16, 0];
        "ppoll" Allowed _targets => libc::SYS_ppoll, [0, 0, zeros(), 0, 0];
        "writev to the NIC" Allowed targets => libc::SYS_writev, [fd(targets.nic), 0, 2];
};

/// The call of another processor mode, which the table's macro cannot make.
static BY_INTERRUPT: Crime = Crime {
    name: "a system call of the 32-bit kind",
    expected: Expected::Killed,
    commit: |_| by_interrupt(),
};

fn by_interrupt() {
    // SAFETY: getpid of 32-bit code reads and writes no memory and changes RAX alone.
    unsafe { std::arch::asm!("int 0x80", inlateout("eax") I386_GETPID => _, options(nostack)) };
}
