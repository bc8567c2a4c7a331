//! One hostile guest: in a machine of this process, whose sealed memory is looked at, and by the whole program, with its sandbox.

use hvcall::GuestExit;
use loader::layout::Slot;
use loader::monitor::end::End;
use tests::{App, Ringwall, Run, Running, TestMachine, processes_in_group};

use crate::case::Got;
use crate::host::Host;
use crate::{window, words};

/// Seconds that a guest may take which should end at once.
const LIMIT_S: &str = "30";

/// Runs `attack WORDS` on a host. Where it is run twice both must end the same way.
pub(crate) fn attack(host: Host, arguments: &[&str]) -> Got {
    if host == Host::Process {
        return by_program(host, &[], arguments);
    }
    let first = in_machine(TestMachine::new(App::Attack, arguments))?;
    if host.runs_program() {
        let second = by_program(host, &[], arguments)?;
        if words::kind(&first) != words::kind(&second) {
            return Err(format!("O10: {first} in a machine, {second} by the program"));
        }
    }
    Ok(first)
}

/// Runs a machine to its end. Sealed memory and tables must be the same afterwards.
pub(crate) fn in_machine(mut machine: TestMachine) -> Got {
    let before = sealed(&machine);
    let record = machine.run();
    if before != sealed(&machine) {
        return Err("O3: sealed memory or tables have changed".to_owned());
    }
    window::check(&machine)?;
    let end = record.end().ok_or("O1: an end record that cannot be read")?;
    let output = machine.output();
    if matches!(end, End::Exit(GuestExit::Status(60))) {
        return Err(format!("the attack does not know this: {output}"));
    }
    Ok(words::end(end, &output))
}

/// Memory that nothing may change: tables and descriptors, everything read-only.
pub(crate) fn sealed(machine: &TestMachine) -> [Vec<u8>; 2] {
    [machine.bytes_of(Slot::Tables), machine.bytes_of(Slot::ReadOnly)]
}

/// Runs the whole program. No process may be left.
pub(crate) fn by_program(host: Host, options: &[&str], arguments: &[&str]) -> Got {
    let running = start(host, options, arguments);
    let group = running.pid();
    let run = running.wait();
    if !processes_in_group(group).is_empty() {
        return Err("O1: a process is left".to_owned());
    }
    check(&run)?;
    Ok(words::program(&run))
}

/// Runs the whole program and gives all that it said.
pub(crate) fn run(host: Host, options: &[&str], arguments: &[&str]) -> Run {
    start(host, options, arguments).wait()
}

/// Starts the whole program. A time limit among the options is the one that counts.
pub(crate) fn start(host: Host, options: &[&str], arguments: &[&str]) -> Running {
    let limit: &[&str] = if options.contains(&"--time-limit") { &[] } else { &["--time-limit", LIMIT_S] };
    Ringwall::run_app(host.backend(), App::Attack).args(limit).args(options).guest(arguments).start()
}

/// What holds after every run: the program ended by its own path, and never for a fault of its own.
pub(crate) fn check(run: &Run) -> Result<(), String> {
    let said = |what: &str| run.stderr.contains(what);
    if matches!(run.code, 70 | 71) || said("is a bug") || said("panicked at") {
        return Err(format!("O1: exit {}: {}", run.code, run.stderr));
    }
    if run.code == 60 {
        return Err(format!("the attack does not know this: {}", run.stdout));
    }
    Ok(())
}
