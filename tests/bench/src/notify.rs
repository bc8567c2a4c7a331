//! The bare floor of the process backend: a process that makes system calls, and another that answers each notification.
#![expect(unsafe_code, reason = "a filter, a fork and ioctls, with as little around them as possible")]

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{seccomp_data, seccomp_notif, seccomp_notif_resp, sock_filter};

/// A number that no system call has.
const NUMBER: i64 = 5000;

/// A process that does nothing but system calls, each of which waits for an answer.
#[derive(Debug)]
pub struct Caller {
    pid: i32,
    listener: RawFd,
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl Caller {
    /// Starts the process.
    ///
    /// # Errors
    /// What the host says.
    pub fn new() -> io::Result<Self> {
        let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let page = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), 4096, access, rustix::mm::MapFlags::SHARED)?
        };
        // SAFETY: a fresh, zeroed, aligned page that stays mapped for good; both processes use this word as an atomic only.
        let number = unsafe { &*page.cast::<AtomicI32>() };
        let flags = libc::CLONE_FILES | libc::SIGCHLD;
        // SAFETY: a fork that shares descriptors. The child makes system calls only, on memory of its own.
        match checked(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
            0 => child(number),
            pid => loop {
                match number.load(Ordering::Acquire) {
                    0 => std::hint::spin_loop(),
                    listener @ 1.. => return Self::with(i32::try_from(pid).unwrap_or(0), listener),
                    errno => return Err(io::Error::from_raw_os_error(-errno)),
                }
            },
        }
    }

    fn with(pid: i32, listener: RawFd) -> io::Result<Self> {
        let caller = Self { pid, listener };
        let synchronous: libc::c_ulong = 1;
        // SAFETY: `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` by value, as the process backend sets it. Kernels before 6.6 refuse it to both.
        let _ = unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, synchronous) };
        Ok(caller)
    }

    /// Receives one notification and answers it.
    ///
    /// # Errors
    /// What the host says.
    pub fn turn(&mut self) -> io::Result<()> {
        let data = seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
        let mut notification = seccomp_notif { id: 0, pid: 0, flags: 0, data };
        let to = &raw mut notification;
        // SAFETY: the ioctl writes one such structure.
        checked(i64::from(unsafe { libc::ioctl(self.listener, libc::SECCOMP_IOCTL_NOTIF_RECV, to) }))?;
        let mut answer = seccomp_notif_resp { id: notification.id, val: 0, error: 0, flags: 0 };
        let from = &raw mut answer;
        // SAFETY: the ioctl reads one such structure.
        checked(i64::from(unsafe { libc::ioctl(self.listener, libc::SECCOMP_IOCTL_NOTIF_SEND, from) }))?;
        Ok(())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // SAFETY: the child made above, which is not yet waited for.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: waits for it; no status is asked for.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
        // SAFETY: the listener is this value's own.
        unsafe { libc::close(self.listener) };
    }
}

fn child(number: &AtomicI32) -> ! {
    // SAFETY: dies with its parent.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let listener = filter().map_or_else(
        |error| -error.raw_os_error().unwrap_or(1),
        |listener| i32::try_from(listener).unwrap_or(-1),
    );
    number.store(listener, Ordering::Release);
    loop {
        // SAFETY: a number that no system call has: nothing but the notification happens.
        unsafe { libc::syscall(NUMBER) };
    }
}

fn filter() -> io::Result<i64> {
    let statement =
        |code: u32, jf: u8, k: u32| sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf, k };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::try_from(NUMBER).unwrap_or(0)),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_USER_NOTIF),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    checked(i64::from(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }))?;
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: reads the program and its four instructions.
    checked(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })
}
