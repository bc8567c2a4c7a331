//! What Rust's runtime does before a `main`, as far as this program wants it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

/// Makes sure that standard input, output and error are open, on /dev/null if need be: the next file that is opened would be
/// taken for one of them otherwise. Then has SIGPIPE ignored: a reader that has gone away is an error and not the end.
pub(crate) fn process() {
    open_standard_descriptors();
    #[expect(unsafe_code, reason = "signal")]
    // SAFETY: ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

fn open_standard_descriptors() {
    let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let mut fds = standard.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty()));
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // If it cannot be asked, none is known to be closed.
    let _ = poll(&mut fds, Some(&at_once));
    for _ in fds.iter().filter(|fd| fd.revents().contains(PollFlags::NVAL)) {
        // The lowest that is free.
        match rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
            Ok(fd) => std::mem::forget(fd),
            Err(_) => std::process::abort(),
        }
    }
}
