//! PID 1 of a lab: loads KVM, runs one program, says how it ended, ends the machine.
//!
//! The program and its arguments are in `/lab/argv`, each ended by a NUL; its output goes to the second serial line. On the third
//! come lines for `scripts/lab`, the last of which is `lab: exit N`. A machine that ends without that line has failed: a panic
//! here stops the kernel, and that restarts the machine, which the emulators take for its end.
#![expect(
    clippy::expect_used,
    reason = "the first process has nobody to hand an error to, and nothing to do without what failed"
)]

mod machine;
mod serial;

use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// What a shell says of a program that it cannot start.
const CANNOT_START: i32 = 127;

fn main() {
    machine::mount_all();
    let output = serial::open("/dev/ttyS1");
    let mut control = serial::open("/dev/ttyS2");
    let mut say = |text: String| writeln!(control, "lab: {text}").expect("the control line is open");
    say(format!("first process after {} s", machine::uptime()));
    say(format!("{} loaded", machine::load_kvm()));
    machine::raise_loopback();

    let started = Instant::now();
    let code = match run(&output) {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(error) => {
            say(format!("cannot start the program: {error}"));
            CANNOT_START
        }
    };
    say(format!("the program took {:.1} s", started.elapsed().as_secs_f64()));
    say(format!("exit {code}"));
    serial::drain(&output);
    serial::drain(&control);
    machine::end()
}

/// Runs the program of `/lab/argv` to its end. Whoever loses their parent meanwhile becomes a child of this process, and is left.
fn run(output: &std::fs::File) -> std::io::Result<ExitStatus> {
    let words = std::fs::read_to_string("/lab/argv")?;
    let mut words = words.split_terminator('\0');
    let mut command = Command::new(words.next().unwrap_or_default());
    // A session of its own: nothing that it does to its process group or terminal reaches this process.
    command.args(words).env("PATH", "/lab").env("RUST_BACKTRACE", "1").current_dir("/tmp").process_group(0);
    for (name, value) in machine::environment() {
        command.env(name, value);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    command.spawn()?.wait()
}
