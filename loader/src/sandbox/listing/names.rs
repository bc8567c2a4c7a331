//! Names of system calls.

/// The name of a call that one of the filters allows, or that tests try.
#[must_use]
pub fn name(number: u32) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(known, _)| *known == i64::from(number))
        .map(|(_, name)| name.trim_start_matches("SYS_"))
}

macro_rules! names {
    ($($name:ident)+) => {
        &[$((libc::$name, stringify!($name))),+]
    };
}

const NAMES: &[(i64, &str)] = names! {
    SYS_read SYS_write SYS_close SYS_mmap SYS_mprotect SYS_munmap SYS_brk SYS_ioctl SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev
    SYS_mremap SYS_madvise SYS_socket SYS_connect SYS_sendto SYS_recvfrom SYS_shutdown SYS_getsockopt SYS_setsockopt SYS_fcntl
    SYS_fdatasync SYS_clock_gettime SYS_exit_group SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_ppoll SYS_fallocate
    SYS_accept4 SYS_getrandom
};
