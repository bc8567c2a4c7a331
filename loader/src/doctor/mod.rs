//! `ringwall doctor`: what this host offers, and what to do about what it lacks.
//!
//! Every check tries the thing itself where that has no lasting effect: it opens `/dev/kvm`, creates a machine, seals a
//! memfd. KVM is not necessary where a guest can be a process. A check that fails says what to do. Checks for building and for taps are optional: without them sealed images
//! still run, with `--net user`.

mod host;
mod kvm;
mod process;
mod report;
pub mod sandbox;
mod toolchain;

pub use report::{Check, Report, State};

/// Examines the host. Takes a few milliseconds, most of them for starting cargo and rustc.
#[must_use]
pub fn examine() -> Report {
    let mut checks = kvm::checks();
    let process = process::check();
    if process.state == State::Ok {
        // One of the two backends is enough.
        for check in checks.iter_mut().filter(|check| check.state == State::Missing) {
            check.state = State::Limited;
        }
    }
    checks.push(process);
    checks.extend(host::checks());
    checks.extend(toolchain::checks());
    Report { checks }
}
