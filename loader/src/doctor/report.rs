//! The result of an examination, as lines of text or as JSON.

use std::fmt;

use hvcall::ExitCode;
use serde_json::json;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// Something that not every appliance needs is missing.
    Limited,
    /// Something that every appliance needs is missing.
    Missing,
}

impl State {
    /// The word in the report.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: a short, stable name.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, where something is missing.
    pub advice: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), advice: None }
    }

    pub(super) fn limited(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Limited, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn missing(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Missing, ..Self::limited(name, found, advice) }
    }
}

/// What the host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether appliances run here.
    #[must_use]
    pub fn can_run(&self) -> bool {
        self.checks.iter().all(|check| check.state != State::Missing)
    }

    /// Exit status of `ringwall doctor`: 0, or 69 if the host lacks something that every appliance needs.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.can_run() { ExitCode(0) } else { ExitCode::UNAVAILABLE }
    }

    /// The report as one JSON object: `{"can_run": bool, "checks": [{"name", "state", "found", "advice"}]}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let check = |check: &Check| {
            json!({
                "name": check.name,
                "state": check.state.word(),
                "found": check.found,
                "advice": check.advice,
            })
        };
        json!({ "can_run": self.can_run(), "checks": self.checks.iter().map(check).collect::<Vec<_>>() })
    }
}

impl fmt::Display for Report {
    /// One aligned line for each check, its advice below it, and the verdict.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            writeln!(formatter, "{:<8} {:width$}  {}", check.state.word(), check.name, check.found)?;
            if let Some(advice) = &check.advice {
                writeln!(formatter, "{:<8} {:width$}  -> {advice}", "", "")?;
            }
        }
        let verdict = if self.can_run() {
            "This host can run appliances."
        } else {
            "This host cannot run appliances yet: see the lines that say `missing`."
        };
        writeln!(formatter, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(last: Check) -> Report {
        Report { checks: vec![Check::ok("kvm", "version 12"), last] }
    }

    #[test]
    fn only_a_missing_necessity_keeps_appliances_from_running() {
        let limited = report(Check::limited("tap", "no /dev/net/tun", "modprobe tun"));
        assert_eq!((limited.can_run(), limited.exit_code()), (true, ExitCode(0)));
        let missing = report(Check::missing("machine", "refused", "free some memory"));
        assert_eq!((missing.can_run(), missing.exit_code()), (false, ExitCode::UNAVAILABLE));
    }

    #[test]
    fn text_is_aligned_and_advice_stands_below() {
        let text = report(Check::limited("tap device", "absent", "modprobe tun")).to_string();
        assert_eq!(
            text,
            "ok       kvm         version 12\n\
             limited  tap device  absent\n\
             \x20                    -> modprobe tun\n\
             This host can run appliances.\n"
        );
    }

    #[test]
    fn json_has_every_check() {
        let json = report(Check::missing("machine", "refused \"x\"", "free some")).to_json();
        assert_eq!(json["can_run"], false);
        assert_eq!(json["checks"][1]["found"], "refused \"x\"");
        assert_eq!(json["checks"][0]["advice"], serde_json::Value::Null);
    }
}
