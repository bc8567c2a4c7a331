//! A network namespace for one test.
#![expect(unsafe_code, reason = "leaves this process's network")]

use rustix::thread::UnshareFlags;

/// Runs a test in a thread that has a network of its own, with nothing in it; programs that it starts are in there too. It goes
/// when the last of them ends, so there is nothing to clean up. Only root may: for others the test is skipped.
///
/// # Panics
/// If the test does, or the host gives no namespace.
pub fn in_own_network(test: impl FnOnce() + Send) {
    if !crate::is_root() {
        return crate::skip("only root may make network interfaces");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: only the thread's network changes. It is new, and no descriptor or memory of others depends on it.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
                .expect("root may make a namespace");
            test();
        });
    });
}
