//! From an end record to an exit code and lines for people.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use hvcall::{ExitCode, GuestExit};
use nix::sys::signal::Signal;

use super::RunConfig;
use super::report::Report;
use super::supervise::Outcome;
use crate::layout::stubs;
use crate::layout::units::{self, Units};
use crate::monitor::end::{End, EndRecord, OUTSIDE};
use crate::monitor::vcpu::Registers;
use crate::symbols::{Symbols, format_backtrace};

/// What explaining needs of a run.
#[derive(Debug)]
pub(super) struct Explainer {
    name: String,
    image_path: PathBuf,
    time_limit_s: f64,
}

impl Explainer {
    pub(super) fn new(config: &RunConfig) -> Self {
        Self {
            name: config.image.manifest.name().to_owned(),
            image_path: config.image_path.clone(),
            time_limit_s: config.time_limit.unwrap_or_default().as_secs_f64(),
        }
    }

    /// Prints what a person wants to know about the end, if anything, and gives the exit code.
    pub(super) fn explain(&self, outcome: Outcome, report: &Report) -> ExitCode {
        let name = &self.name;
        match outcome {
            Outcome::Exited(code) => {
                if let Some((record, end)) = &report.end {
                    let units = report.opening.unwrap_or_default().units;
                    let text = self.text(record, *end, &units);
                    if !text.is_empty() {
                        // As with `say`: a reader that is gone changes nothing.
                        let _ = std::io::stderr().write_all(text.as_bytes());
                    }
                }
                ExitCode(code)
            }
            Outcome::GraceOver(signal) => {
                crate::say!("ringwall: {name}: did not end in time after {signal}, killed");
                ExitCode::signal(number(signal))
            }
            Outcome::TimeLimit => {
                crate::say!("ringwall: {name}: time limit of {} s passed, killed", self.time_limit_s);
                ExitCode::TIME_LIMIT
            }
            Outcome::Killed(
                signal @ (Signal::SIGKILL | Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP),
            ) => {
                crate::say!("ringwall: {name}: the monitor was killed by {signal}");
                ExitCode::signal(number(signal))
            }
            Outcome::Killed(signal) => {
                crate::say!(
                    "ringwall: {name}: the monitor died of {signal}: this is a bug in Ringwall, please report it"
                );
                ExitCode::MONITOR_BUG
            }
        }
    }

    fn text(&self, record: &EndRecord, end: End, units: &Units) -> String {
        let what = match end {
            End::Exit(GuestExit::Status(_)) => return String::new(),
            End::Exit(GuestExit::Panic) => {
                return format!("ringwall: {}: the appliance panicked\n", self.name);
            }
            End::Fault { vector } => exception(record, vector, units),
            End::ForeignTrap => "contract violation: a trap from outside the hypercall gate".to_owned(),
            End::BadExit { argument } => format!("contract violation: exit with status {argument:#x}"),
            End::ForeignExit { reason, detail } => {
                format!("fault: access outside the machine (exit reason {reason}, detail {detail:#x})")
            }
            End::TripleFault => "triple fault: the machine shut down".to_owned(),
            End::RunFailed { errno } => {
                let error = std::io::Error::from_raw_os_error(errno);
                return format!(
                    "ringwall: {}: the host does not run the guest any further: {error}\n",
                    self.name
                );
            }
            End::Killed { signal } => return format!("ringwall: {}: {}\n", self.name, killed(signal)),
            End::EntryFailed { reason } => {
                return format!(
                    "ringwall: {}: the CPU refused to enter the guest ({reason:#x})\n",
                    self.name
                );
            }
        };
        let mut text = format!("ringwall: {}: {what}\n", self.name);
        if record.stack_end == 0 {
            text.push_str("  registers are lost\n");
            return text;
        }
        self.add_backtrace(&mut text, record);
        add_registers(&mut text, record, units);
        text
    }

    fn add_backtrace(&self, text: &mut String, record: &EndRecord) {
        let mut frames = Vec::new();
        if record.rip_offset != OUTSIDE {
            frames.push(record.rip_offset);
        }
        let count = (record.frame_count as usize).min(record.frames.len());
        frames.extend_from_slice(&record.frames[..count]);
        let symbols = Symbols::for_image(&self.image_path).unwrap_or_else(|error| {
            let _ = writeln!(text, "  (no names: {error})");
            None
        });
        if symbols.is_some() {
            let _ = super::wall::close();
        }
        text.push_str(&format_backtrace(symbols.as_ref(), &frames));
    }
}

fn exception(record: &EndRecord, vector: u8, units: &Units) -> String {
    let name = stubs::name(vector);
    if vector != 14 {
        let code = if stubs::has_error_code(vector) {
            format!(", error code {:#x}", record.error_code)
        } else {
            String::new()
        };
        return format!("{name} (vector {vector}{code})");
    }
    // Error code bits: SDM Vol. 3A, figure 4-12.
    let access = match record.error_code {
        code if code & 1 << 4 != 0 => "execute",
        code if code & 1 << 1 != 0 => "write",
        _ => "read",
    };
    let address = record.fault_address;
    let guard = record.stack_base.saturating_sub(crate::layout::plan::UNIT_DISTANCE_BYTES)..record.stack_base;
    let why = if guard.contains(&address) {
        "stack overflow"
    } else if address < crate::layout::plan::LOWEST_GVA {
        "nothing is mapped there"
    } else if record.error_code & 1 != 0 {
        "the page does not allow it"
    } else {
        "nothing is mapped there"
    };
    let place = units::place(units, address);
    format!("{name} (vector {vector}, error code {:#x}): {access} at {place}: {why}", record.error_code)
}

fn killed(signal: u8) -> String {
    match Signal::try_from(i32::from(signal)) {
        Ok(Signal::SIGSYS) => {
            "contract violation: a trap from outside the hypercall gate, registers are lost".to_owned()
        }
        Ok(signal) => format!("the guest's process was killed by {signal}"),
        Err(_) => "the guest's process is gone".to_owned(),
    }
}

fn add_registers(text: &mut String, record: &EndRecord, units: &Units) {
    let named = Registers::NAMES.iter().zip(&record.general);
    let extra = [("rip", &record.rip), ("rflags", &record.rflags)];
    let all: Vec<String> = named
        .map(|(name, value)| (*name, value))
        .chain(extra)
        .map(|(name, value)| format!("{name:>6} {:>18}", units::place(units, *value)))
        .collect();
    for row in all.chunks(4) {
        let _ = writeln!(text, "  {}", row.join(" "));
    }
}

fn number(signal: Signal) -> u8 {
    u8::try_from(signal as i32).unwrap_or(0)
}
