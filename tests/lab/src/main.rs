//! PID 1 of a lab: loads KVM, runs programs, says how they ended, ends the machine.
//!
//! Each file of `/lab/run` is a program and its arguments, each ended by a NUL. They run one after the other, in the order of the
//! files' names; their output goes to the second serial line. On the third come lines for `scripts/lab`, the last of which is
//! `lab: exit N`, with the status of the first program that failed. A machine that ends without that line has failed: a panic
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
    machine::keep_kvm_busy();
    machine::raise_loopback();

    let mut code = 0;
    for words in programs() {
        let started = Instant::now();
        let status = match run(&words, &output) {
            Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            Err(error) => {
                say(format!("cannot start {words:?}: {error}"));
                CANNOT_START
            }
        };
        let name = words.first().map_or("", String::as_str);
        say(format!("{name} took {:.1} s and ended with {status}", started.elapsed().as_secs_f64()));
        code = if code == 0 { status } else { code };
    }
    say(format!("exit {code}"));
    serial::drain(&output);
    serial::drain(&control);
    machine::end()
}

/// The programs and their arguments, in order.
fn programs() -> Vec<Vec<String>> {
    let folder = std::fs::read_dir("/lab/run").expect("the lab has programs");
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let words = |path| std::fs::read_to_string(path).expect("a readable file");
    files.iter().map(|path| words(path).split_terminator('\0').map(str::to_owned).collect()).collect()
}

/// Runs a program to its end. Whoever loses their parent meanwhile becomes a child of this process, and is left.
fn run(words: &[String], output: &std::fs::File) -> std::io::Result<ExitStatus> {
    let mut words = words.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    // A session of its own: nothing that it does to its process group or terminal reaches this process.
    command.args(words).env("PATH", "/lab").env("RUST_BACKTRACE", "1").current_dir("/tmp").process_group(0);
    for (name, value) in machine::environment() {
        command.env(name, value);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    command.spawn()?.wait()
}
