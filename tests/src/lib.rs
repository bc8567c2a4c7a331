//! Harness of the whole-system tests.
//!
//! ```text
//! backend     what runs the guest; one test function becomes one test per backend
//! app         appliances, each built once per test process
//! ringwall    runs the `ringwall` program: exit code, output, signals        capture   its output as it comes
//! machine     a machine inside the test process, to be looked into           page_walk its page tables, walked as a CPU does
//! breakout    system calls from inside a closed monitor
//! frames      hostile frames, and what arrives of them
//! network     a network namespace for one test                       http      one request, one response
//! window      calls without a guest: the dispatcher over made-up memory
//! image_file  an image file to be spoiled                                    pattern   what the `disk` appliance writes
//! spoiled     images that lack one property each
//! ```
//!
//! A harness fails by panicking: its callers are tests.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod app;
mod backend;
pub mod breakout;
mod capture;
pub mod frames;
pub mod http;
pub mod image_file;
mod machine;
mod network;
mod page_walk;
pub mod pattern;
mod ringwall;
pub mod spoiled;
mod window;

pub use app::{APPS, App};
pub use backend::Backend;
pub use capture::Capture;
pub use image_file::ImageFile;
pub use machine::TestMachine;
pub use network::in_own_network;
pub use page_walk::{Leaf, PageTables};
pub use ringwall::{Ringwall, Run, Running, processes_in_group, wait_for_end};
pub use window::Window;

use std::io::Write as _;

/// Whether this process is root. Tests that make network interfaces or mounts need it.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says on standard error, past the test runner's capture, that a test did not run.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {why}");
}
