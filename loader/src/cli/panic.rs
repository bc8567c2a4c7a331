//! What a panic of the loader says: one line, and an exit code of its own.

use std::fmt::Write as _;
use std::io::IoSlice;

use hvcall::ExitCode;

/// Longest line.
const LINE_BYTES: usize = 512;

/// Installs the hook. It neither allocates nor makes a system call that a closed monitor may not make.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let mut line = heapless::String::<LINE_BYTES>::new();
        let message = info.payload_as_str().unwrap_or("panic");
        let (file, number) = info.location().map_or(("?", 0), |location| (location.file(), location.line()));
        // A message that does not fit is cut: what is there already is worth printing.
        let _ = write!(line, "ringwall: bug, please report it: {file}:{number}: {message}");
        let _ = rustix::io::writev(
            rustix::stdio::stderr(),
            &[IoSlice::new(line.as_bytes()), IoSlice::new(b"\n")],
        );
        loader::exit::at_once(ExitCode::MONITOR_BUG);
    }));
}
