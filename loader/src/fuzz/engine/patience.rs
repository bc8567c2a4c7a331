//! Whether a process hangs, or only waits for a processor.

use std::fs;
use std::time::{Duration, Instant};

/// Length of a clock tick in `/proc`, the same on every x86-64 kernel (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// The time that a process has had since some moment: what it ran, and what it slept.
///
/// What it was ready to run and did not get to is not in it: on a machine with more to do, that may be any time.
#[derive(Debug)]
pub(super) struct Patience {
    pid: u32,
    looked: Instant,
    slept: Duration,
    ran_before: Duration,
}

impl Patience {
    /// From now on.
    pub(super) fn new(pid: u32) -> Self {
        let ran_before = state(pid).map_or(Duration::ZERO, |(_, ran)| ran);
        Self { pid, looked: Instant::now(), slept: Duration::ZERO, ran_before }
    }

    /// How much it has been, if this is called often.
    pub(super) fn spent(&mut self) -> Duration {
        let passed = self.looked.elapsed();
        self.looked += passed;
        // A process that is gone has nothing to wait for.
        let Some((waits, ran)) = state(self.pid) else { return Duration::ZERO };
        if waits {
            self.slept += passed;
        }
        self.slept + ran.saturating_sub(self.ran_before)
    }
}

/// Whether a process sleeps or is stopped, and how long it has run (proc_pid_stat(5): state, utime, stime).
fn state(pid: u32) -> Option<(bool, Duration)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, blanks and parentheses too.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u32>().ok();
    let waits = matches!(*fields.first()?, "S" | "D" | "T" | "t");
    Some((waits, TICK * ticks(11)?.saturating_add(ticks(12)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_sleeps_has_had_its_time_and_one_that_is_gone_none() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut patience = Patience::new(child.id());
        while patience.spent() < Duration::from_millis(50) {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(patience.spent(), Duration::ZERO);
    }

    #[test]
    fn what_this_process_runs_counts() {
        let mut patience = Patience::new(std::process::id());
        while patience.spent() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
    }
}
