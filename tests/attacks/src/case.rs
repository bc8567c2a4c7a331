//! A case: an attack, and what must become of it on each kind of host.

use std::fmt;

use crate::host::Host;

/// What became of an attack, in the table's words; or which of the rules that hold after every case does not.
pub(crate) type Got = Result<String, String>;

/// A line of the table.
pub(crate) struct Case {
    /// Number in the catalogue of attacks, and what it is: `038-in-8`. Numbers from 300 on are of cases that the catalogue lacks.
    pub(crate) name: String,
    /// Carries it out.
    pub(crate) attack: Box<dyn Fn(Host) -> Got>,
    /// What must become of it.
    pub(crate) expected: Expected,
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// A case.
pub(crate) fn case(
    row: u32,
    label: &str,
    expected: Expected,
    attack: impl Fn(Host) -> Got + 'static,
) -> Case {
    Case { name: format!("{row:03}-{label}"), attack: Box::new(attack), expected }
}

/// What must become of an attack on one kind of host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// It cannot be carried out there, because.
    Not(&'static str),
}

/// What must become of an attack, per kind of host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pvm: On,
    process: On,
    amd: On,
    intel: On,
}

/// The same everywhere.
pub(crate) const fn all(one_of: &'static [&'static str]) -> Expected {
    let on = On::OneOf(one_of);
    Expected { pvm: on, process: on, amd: on, intel: on }
}

/// Nothing that this suite can carry out on any host, because.
pub(crate) const fn nowhere(why: &'static str) -> Expected {
    let on = On::Not(why);
    Expected { pvm: on, process: on, amd: on, intel: on }
}

impl Expected {
    /// Another outcome on kvm-pvm.
    pub(crate) const fn pvm(self, one_of: &'static [&'static str]) -> Self {
        Self { pvm: On::OneOf(one_of), ..self }
    }

    /// Another outcome in a process.
    pub(crate) const fn process(self, one_of: &'static [&'static str]) -> Self {
        Self { process: On::OneOf(one_of), ..self }
    }

    /// Another outcome on kvm-amd.
    pub(crate) const fn amd(self, one_of: &'static [&'static str]) -> Self {
        Self { amd: On::OneOf(one_of), ..self }
    }

    /// Another outcome on kvm-intel.
    pub(crate) const fn intel(self, one_of: &'static [&'static str]) -> Self {
        Self { intel: On::OneOf(one_of), ..self }
    }

    /// Nothing for processes.
    pub(crate) const fn not_process(self, why: &'static str) -> Self {
        Self { process: On::Not(why), ..self }
    }

    /// Nothing for kvm-pvm.
    pub(crate) const fn not_pvm(self, why: &'static str) -> Self {
        Self { pvm: On::Not(why), ..self }
    }

    /// Nothing for kvm-amd.
    pub(crate) const fn not_amd(self, why: &'static str) -> Self {
        Self { amd: On::Not(why), ..self }
    }

    /// Nothing for the labs.
    pub(crate) const fn not_lab(self, why: &'static str) -> Self {
        Self { amd: On::Not(why), intel: On::Not(why), ..self }
    }

    /// What is expected on a host.
    pub(crate) const fn on(&self, host: Host) -> On {
        match host {
            Host::Pvm => self.pvm,
            Host::Process => self.process,
            Host::Amd => self.amd,
            Host::Intel => self.intel,
        }
    }
}

impl On {
    /// Whether `got` is one of the outcomes. `done` stands for any value, and a star at an end for any rest. How many values a sweep
    /// tried is no part of an outcome.
    pub(crate) fn admits(&self, got: &str) -> bool {
        let Self::OneOf(outcomes) = self else { return false };
        let got = match got.split_once(" (") {
            Some((outcome, rest)) if rest.ends_with(" values)") => outcome,
            _ => got,
        };
        outcomes.iter().any(|&outcome| match outcome.strip_suffix('*') {
            Some(start) => got.starts_with(start),
            None => got == outcome || outcome == "done" && got.starts_with("gives "),
        })
    }
}

impl fmt::Display for On {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(outcomes) => formatter.write_str(&outcomes.join(" or ")),
            Self::Not(why) => write!(formatter, "not applicable: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_compared_whole() {
        let on = On::OneOf(&["#GP", "done", "exit 6*"]);
        for good in ["#GP", "#GP (65536 values)", "gives 0x7", "done", "exit 64"] {
            assert!(on.admits(good), "{good}");
        }
        for bad in ["#G", "#GP; 0x7e: foreign trap", "#UD", "exit 7", "#GP (some)", "gives"] {
            assert!(!on.admits(bad), "{bad}");
        }
        assert!(!On::Not("no reason").admits("done"));
    }
}
