//! Processes that carry out cases: one at a time each, named on standard input, told on standard output.
//!
//! A case that kills its process, or never ends, costs that process and fails; the next case gets a new one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::case::{Case, Got};
use crate::host::Host;

/// Longest that a case may take. One that meets it hangs.
const LIMIT: Duration = Duration::from_secs(180);
/// Most memory that a worker may gain from one case to any later one.
const GROWTH_KIB: u64 = 64 * 1024;

/// A line from a worker.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    got: Result<String, String>,
}

/// Carries out cases until there are no more: the body of a worker.
pub(crate) fn work(host: Host, cases: &[Case]) {
    let mut first_kib = None;
    for name in std::io::stdin().lines().map_while(Result::ok) {
        let Some(case) = cases.iter().find(|case| case.name == name) else { continue };
        let before = descriptors();
        let mut got = (case.attack)(host);
        let after = descriptors_settled(&before);
        if before != after {
            got = Err(format!("O4: descriptors {before:?} before, {after:?} after"));
        }
        let kib = resident_kib();
        if kib > *first_kib.get_or_insert(kib) + GROWTH_KIB {
            got = Err(format!("O5: {kib} KiB resident, {} KiB after the first case", first_kib.unwrap_or(0)));
        }
        let line = serde_json::to_string(&Answer { got }).unwrap_or_default();
        let mut stdout = std::io::stdout();
        if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}

/// Open descriptors by number and target.
fn descriptors() -> Vec<String> {
    let folder = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut all: Vec<String> = folder
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?.display().to_string();
            // The folder itself.
            (!target.ends_with("/fd")).then(|| format!("{} {target}", entry.file_name().display()))
        })
        .collect();
    all.sort();
    all
}

/// Open descriptors once threads that read a program's output have let go of theirs; at the latest after a second.
fn descriptors_settled(expected: &[String]) -> Vec<String> {
    for _ in 0..100 {
        let now = descriptors();
        if now == expected {
            return now;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    descriptors()
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// A worker, started when it is needed.
#[derive(Debug)]
pub(crate) struct Worker {
    host: Host,
    running: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    names: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    /// A worker for a host.
    pub(crate) const fn new(host: Host) -> Self {
        Self { host, running: None }
    }

    /// Has a case carried out.
    pub(crate) fn carry_out(&mut self, name: &str) -> Got {
        let process = match self.running.take() {
            Some(process) => process,
            None => self.start()?,
        };
        let mut process = process;
        let sent = writeln!(process.names, "{name}");
        match sent
            .map_err(|_| RecvTimeoutError::Disconnected)
            .and_then(|()| process.answers.recv_timeout(LIMIT))
        {
            Ok(line) => {
                self.running = Some(process);
                serde_json::from_str::<Answer>(&line).map_err(|_| format!("no answer: {line}"))?.got
            }
            Err(RecvTimeoutError::Timeout) => {
                let _ = process.child.kill();
                let _ = process.child.wait();
                Err(format!("O1: hangs: nothing for {} s", LIMIT.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(last_words(process)),
        }
    }

    fn start(&self) -> Result<Process, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["--host", &self.host.to_string(), "--work"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start a worker: {error}"))?;
        let (Some(names), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a worker without pipes".to_owned());
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Process { child, names, answers })
    }
}

/// What a dead worker has to say.
fn last_words(mut process: Process) -> String {
    let status = process.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let mut text = String::new();
    if let Some(stderr) = &mut process.child.stderr {
        let _ = stderr.read_to_string(&mut text);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
    format!("O1: the process died ({status}): {}", lines.join(" | "))
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(Process { mut child, names, .. }) = self.running.take() {
            drop(names);
            let _ = child.wait();
        }
    }
}
