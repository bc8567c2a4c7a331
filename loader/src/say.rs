//! Lines for people on standard error.

/// Writes a line to standard error, formatted like `eprintln!`. A reader that has gone away is no reason to panic, which is what
/// `eprintln!` would do, or to end in another way than one would have.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}
