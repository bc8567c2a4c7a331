//! `ringwall`: see `ringwall --help`.
#![cfg_attr(not(test), no_main)]

mod cli;

/// Called by the C library, without Rust's runtime in between. That would look for the limits of the stack in /proc/self/maps and install
/// handlers, to say of a fault whether the stack was full: a tenth of the work up to here. In a monitor, such a handler would make a system
/// call that it may not make, and so hide what happened.
// SAFETY: there is no other `main`. Tests have one of their own.
#[cfg_attr(not(test), expect(unsafe_code, reason = "the name that the C library calls"), unsafe(no_mangle))]
extern "C" fn main() -> core::ffi::c_int {
    loader::machine::tsc::start_measuring();
    cli::prepare::process();
    cli::panic::install();
    loader::exit::at_once(cli::main())
}
