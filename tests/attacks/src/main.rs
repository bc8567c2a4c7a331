//! The attack suite: hostile guests, arguments, images, resources and hosts, and what must become of each.
//!
//! ```text
//! table/     the cases, by section of the catalogue      case      a case and its expectations per kind of host
//! worker     processes that carry them out               report    the table as it is printed
//! guest      one hostile guest, in a machine and by the program
//! each       one instruction with thousands of parameters in one machine
//! soak       random calls for hours, on hosts that fail
//! lacking    a kernel that lacks something
//! words      outcomes in the table's words               ticks     a timer that interrupts endless guests
//! window     what a machine keeps from its guest and around it
//! ```
//!
//! What holds after every case, or else the case fails whatever came of the attack:
//!
//! | | rule | looked at in |
//! | --- | --- | --- |
//! | O1 | the monitor has ended by its own path, no process is left | `guest::check`, `guest::by_program`, `worker` |
//! | O2 | guest memory lies between pages that nobody can access, so that an access beside it is a dead worker | `window` |
//! | O3 | sealed memory and tables are as before, byte for byte | `guest::in_machine`, `each` |
//! | O4 | this process has the descriptors that it had; a monitor's are its own (250, `soak`) | `worker` |
//! | O5 | this process has no more memory than a bound; a monitor's is flat (205, 208, 218, `soak`) | `worker` |
//! | O6 | the case ends in time; that SIGTERM does at any moment has cases (205 to 216, 235, 239, `soak`) | `worker` |
//! | O7 | a call that fails had no effect: by cases, since it takes a model (138, 170, 301) | `table` |
//! | O8 | a disk holds what was acknowledged: by cases that have one (239, 240, 302) | `table` |
//! | O9 | no word that the guest can read is an address of the monitor's process | `window` |
//! | O10 | the same attack in a machine of this process and by the program, with its sandbox, ends the same way | `guest::attack` |

mod case;
mod each;
mod guest;
mod host;
mod lacking;
mod report;
mod soak;
mod table;
mod ticks;
mod window;
mod words;
mod worker;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser;

use case::{Case, On};
use host::Host;
use lacking::Lacking;
use report::Row;
use worker::Worker;

/// Attacks Ringwall in every way that the table has, and exits with 0 if each ends as it must.
#[derive(Debug, Parser)]
#[command(name = "scripts/attacks")]
struct Options {
    /// Kind of host.
    #[arg(long, value_enum, default_value = "pvm")]
    host: Host,
    /// Only cases with this in their names, such as 038 or rdmsr.
    #[arg(long, default_value = "")]
    only: Vec<String>,
    /// The table as JSON.
    #[arg(long)]
    json: bool,
    /// Names the cases and does nothing.
    #[arg(long)]
    list: bool,
    /// Cases at a time.
    #[arg(long)]
    jobs: Option<usize>,
    /// Attacks with random calls for so many seconds instead of carrying out cases.
    #[arg(long, value_name = "SECONDS")]
    soak: Option<u64>,
    /// For the labs: what the appliances do as processes here.
    #[arg(long, hide = true)]
    transcripts: bool,
    /// For the suite itself: carries out the cases that it reads.
    #[arg(long, hide = true)]
    work: bool,
    /// For the suite itself: what the kernel seems to lack to the program that follows.
    #[arg(long, hide = true, requires = "program")]
    lacking: Option<Lacking>,
    /// See `--lacking`.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let (Some(lacking), Some((program, arguments))) = (options.lacking, options.program.split_first()) {
        let error = lacking::execute(lacking, Path::new(program), arguments);
        eprintln!("attacks: {error}");
        return ExitCode::FAILURE;
    }
    let mut cases = table::all();
    if options.work {
        worker::work(options.host, &cases);
        return ExitCode::SUCCESS;
    }
    if options.transcripts {
        return match table::one_image::transcripts() {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("attacks: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if let Some(seconds) = options.soak {
        let got = soak::soak(options.host, Duration::from_secs(seconds));
        println!("{}", got.as_ref().unwrap_or_else(|broken| broken));
        return if got.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    cases.retain(|case| options.only.iter().any(|only| case.name.contains(only.as_str())));
    if options.list {
        for case in &cases {
            println!("{}: {}", case.name, case.expected.on(options.host));
        }
        return ExitCode::SUCCESS;
    }
    let rows = carry_out(&cases, &options);
    report::print(&rows, options.json);
    let good = !rows.is_empty() && rows.iter().all(|row| row.ok);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As many as there are processors; a lab has one.
fn jobs(host: Host) -> usize {
    if host.is_lab() { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// Carries out all cases, several at a time, and gives their rows in the table's order.
fn carry_out(cases: &[Case], options: &Options) -> Vec<Row> {
    let host = options.host;
    let jobs = options.jobs.unwrap_or_else(|| jobs(host));
    let plans: Vec<(usize, &str, On)> = cases
        .iter()
        .enumerate()
        .map(|(place, case)| (place, case.name.as_str(), case.expected.on(host)))
        .collect();
    let next = Mutex::new(plans.iter());
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                let mut worker = Worker::new(host);
                loop {
                    let plan = next.lock().ok().and_then(|mut plans| plans.next());
                    let Some(&(place, name, expected)) = plan else { return };
                    let row = row(&mut worker, name, host, expected);
                    if !options.json {
                        report::print_row(&row);
                    }
                    if let Ok(mut rows) = rows.lock() {
                        rows.push((place, row));
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_default();
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(worker: &mut Worker, name: &str, host: Host, expected: On) -> Row {
    let (got, ok, skipped) = if let On::Not(_) = expected {
        ("-".to_owned(), true, true)
    } else {
        match worker.carry_out(name) {
            Ok(got) => {
                let ok = expected.admits(&got);
                (got, ok, false)
            }
            Err(broken) => (broken.replace('\n', " | "), false, false),
        }
    };
    Row { case: name.to_owned(), host: host.to_string(), got, expected: expected.to_string(), ok, skipped }
}
