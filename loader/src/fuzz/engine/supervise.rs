//! The supervisor: starts workers, watches them, and finds out what killed one.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::patience::Patience;
use super::replay::{Ending, ending, probe};
use super::status::Status;
use super::{Finding, Options, Summary, finding};

/// A worker that runs or sleeps for so long and says nothing hangs, unless its inputs turn out to be harmless.
const SILENCE: Duration = Duration::from_secs(4);
/// An input that takes so long hangs.
const INPUT_LIMIT: Duration = Duration::from_secs(3);

struct Worker {
    child: Child,
    current: PathBuf,
    heard: Instant,
    silent: Patience,
    stat: [f64; 5],
    ended: bool,
}

/// Fuzzes with several workers until the time is up or something is found.
///
/// # Errors
/// What the host says.
pub fn supervise(options: &Options) -> io::Result<Summary> {
    let start = Instant::now();
    fs::create_dir_all(options.findings())?;
    let (sender, lines) = channel();
    let mut summary = Summary::default();
    let mut workers = Vec::new();
    for number in 0..options.jobs {
        workers.push(Worker::start(options, number, &sender)?);
    }
    drop(sender);
    let mut status = Status::new();
    while workers.iter().any(|worker| !worker.ended) {
        hear(&lines, &mut workers, &mut summary, start);
        for worker in &mut workers {
            worker.look(options, &mut summary, start)?;
        }
        summary.seconds = start.elapsed().as_secs_f64();
        add_up(&workers, &mut summary);
        status.show(options, &summary);
        if !summary.findings.is_empty() && !options.keep_going {
            break;
        }
    }
    // A worker that has found something is making it smaller.
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline && workers.iter_mut().any(|worker| worker.is_minimising(&summary)) {
        hear(&lines, &mut workers, &mut summary, start);
    }
    for worker in &mut workers {
        let _ = worker.child.kill();
        let _ = worker.child.wait();
        let _ = fs::remove_file(&worker.current);
    }
    status.end();
    add_up(&workers, &mut summary);
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

fn add_up(workers: &[Worker], summary: &mut Summary) {
    let sum = |field: usize| workers.iter().map(|worker| worker.stat[field]).sum::<f64>();
    let most = |field: usize| workers.iter().map(|worker| worker.stat[field]).fold(0.0, f64::max);
    let count = |number: f64| format!("{number:.0}").parse().unwrap_or(0);
    (summary.cases, summary.calls) = (count(sum(0)), count(sum(1)));
    (summary.corpus, summary.features) = (count(most(2)), count(most(3)));
    summary.cpu_seconds = sum(4);
}

/// Takes lines from workers, for a tenth of a second at most.
fn hear(lines: &Receiver<(usize, String)>, workers: &mut [Worker], summary: &mut Summary, start: Instant) {
    let mut wait = Duration::from_millis(100);
    loop {
        let (number, line) = match lines.recv_timeout(wait) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(Duration::from_millis(5));
                return;
            }
        };
        wait = Duration::ZERO;
        workers[number].heard = Instant::now();
        workers[number].silent = Patience::new(workers[number].child.id());
        if let Some(numbers) = line.strip_prefix("stat ") {
            for (place, number) in workers[number].stat.iter_mut().zip(numbers.split(' ')) {
                *place = number.parse().unwrap_or(*place);
            }
        } else if let Some(found) = line.strip_prefix("found ") {
            let mut fields = found.splitn(4, ' ');
            let mut field = || fields.next().unwrap_or_default();
            summary.findings.push(Finding {
                cpu_seconds: field().parse().unwrap_or(0.0),
                kind: field().to_owned(),
                file: field().into(),
                detail: field().to_owned(),
                seconds: start.elapsed().as_secs_f64(),
            });
        }
    }
}

impl Worker {
    fn start(options: &Options, number: usize, sender: &Sender<(usize, String)>) -> io::Result<Self> {
        let current = options.dir.join(format!(".worker-{}-{number}", std::process::id()));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["fuzz", "--target", &options.target, "--worker"]).arg(&current);
        command.arg("--seed").arg(options.seed.wrapping_add(number as u64).to_string());
        command.arg("--dir").arg(&options.dir).args(&options.extra);
        if let Some(time) = options.time {
            command.arg("--seconds").arg(time.as_secs_f64().to_string());
        }
        if options.keep_going {
            command.arg("--keep-going");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        if let Some(out) = child.stdout.take() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if sender.send((number, line)).is_err() {
                        return;
                    }
                }
            });
        }
        let silent = Patience::new(child.id());
        Ok(Self { child, current, heard: Instant::now(), silent, stat: [0.0; 5], ended: false })
    }

    /// Whether the worker is alive, and if not, why.
    fn look(&mut self, options: &Options, summary: &mut Summary, start: Instant) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let found = |ending: &Ending, file: PathBuf| Finding {
            kind: if *ending == Ending::Hang { "hang" } else { "crash" }.to_owned(),
            detail: match ending {
                Ending::Crash(how) => how.clone(),
                Ending::Hang => format!("no end within {} s", INPUT_LIMIT.as_secs()),
                Ending::Clean | Ending::Violation => "a violation, seen only when run alone".to_owned(),
            },
            file,
            seconds: start.elapsed().as_secs_f64(),
            cpu_seconds: self.stat[4],
        };
        let died = match self.child.try_wait()? {
            Some(status) => ending(status),
            None if self.silent.spent() > SILENCE && !summary_has_news(summary) => {
                self.child.kill()?;
                self.child.wait()?;
                Ending::Hang
            }
            None => return Ok(()),
        };
        self.ended = true;
        if matches!(died, Ending::Clean | Ending::Violation) || summary_has_news(summary) {
            return Ok(());
        }
        match culprit(options, &self.current)? {
            Some((ending, file)) => summary.findings.push(found(&ending, file)),
            None if died == Ending::Hang => {
                crate::say!("ringwall: a worker was silent, and none of its inputs hangs")
            }
            None => {
                let file = save_current(options, &self.current, "crash")?;
                summary.findings.push(found(&died, file));
            }
        }
        Ok(())
    }

    fn is_minimising(&mut self, summary: &Summary) -> bool {
        !summary.findings.is_empty() && !self.ended && {
            self.ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            !self.ended && self.heard.elapsed() < Duration::from_secs(5)
        }
    }
}

/// A worker that has told of a violation may die of it while it makes it smaller.
fn summary_has_news(summary: &Summary) -> bool {
    !summary.findings.is_empty()
}

/// The inputs that a worker was at.
fn current(file: &Path) -> io::Result<Vec<Vec<u8>>> {
    let bytes = fs::read(file)?;
    let Some((len, batch)) = bytes.split_first_chunk() else { return Ok(Vec::new()) };
    let len = crate::address::index(u64::from_le_bytes(*len)).min(batch.len());
    Ok(finding::split(&batch[..len]))
}

fn save_current(options: &Options, file: &Path, kind: &str) -> io::Result<PathBuf> {
    let inputs = current(file)?;
    finding::save(&options.findings(), kind, &finding::join(inputs.iter().map(Vec::as_slice)))
}

/// Which of a worker's inputs kills or hangs a process: the last one that it begins. Alone, if it does so alone.
fn culprit(options: &Options, file: &Path) -> io::Result<Option<(Ending, PathBuf)>> {
    let inputs = current(file)?;
    let scratch = options.dir.join(format!(".probe-{}", std::process::id()));
    let try_out = |inputs: &[Vec<u8>]| {
        let input = match inputs {
            [input] => input.clone(),
            several => finding::join(several.iter().map(Vec::as_slice)),
        };
        fs::write(&scratch, &input)?;
        io::Result::Ok((probe(options, &scratch, INPUT_LIMIT)?, input))
    };
    let ((mut ending, begun), mut input) = try_out(&inputs)?;
    if ending != Ending::Clean
        && let Some(last) = begun.checked_sub(1).and_then(|last| inputs.get(last))
    {
        let ((alone, _), single) = try_out(std::slice::from_ref(last))?;
        if alone != Ending::Clean {
            (ending, input) = (alone, single);
        }
    }
    let _ = fs::remove_file(&scratch);
    if ending == Ending::Clean {
        return Ok(None);
    }
    let kind = if ending == Ending::Hang { "hang" } else { "crash" };
    Ok(Some((ending, finding::save(&options.findings(), kind, &input)?)))
}
