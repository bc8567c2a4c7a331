//! The status line.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::{Options, Summary};

/// Between two lines where standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how it goes on standard error: on a terminal in place.
#[derive(Debug)]
pub(super) struct Status {
    terminal: bool,
    shown: Instant,
    cases: u64,
}

impl Status {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: Instant::now(), cases: 0 }
    }

    pub(super) fn show(&mut self, options: &Options, summary: &Summary) {
        let since = self.shown.elapsed();
        let pause = if self.terminal { Duration::from_millis(500) } else { LINE_EVERY };
        if since < pause {
            return;
        }
        let rate = (summary.cases - self.cases) as f64 / since.as_secs_f64();
        (self.shown, self.cases) = (Instant::now(), summary.cases);
        let line = line(options, summary, rate);
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        } else {
            crate::say!("{line}");
        }
    }

    pub(super) fn end(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(options: &Options, summary: &Summary, rate: f64) -> String {
    let left = options.time.map_or(String::new(), |time| format!("/{}", time.as_secs()));
    let mut line =
        format!("{:.0}{left} s  {:.0} runs/s  {} runs", summary.seconds, rate, grouped(summary.cases),);
    if summary.calls != 0 {
        let _ = write!(line, "  {} calls", grouped(summary.calls));
    }
    let _ = write!(
        line,
        "  {:.0} runs/s of processor time  features {}  corpus {}  findings {}",
        summary.cases as f64 / summary.cpu_seconds.max(1e-9),
        summary.features,
        summary.corpus,
        summary.findings.len()
    );
    line
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position != 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
