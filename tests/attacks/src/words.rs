//! Outcomes in the table's words.

use hvcall::GuestExit;
use loader::monitor::end::End;

/// The exception of a vector: `#GP`.
pub(crate) fn exception(vector: u8) -> String {
    let known = match vector {
        0 => "DE",
        1 => "DB",
        2 => "NMI",
        3 => "BP",
        4 => "OF",
        5 => "BR",
        6 => "UD",
        7 => "NM",
        8 => "DF",
        10 => "TS",
        11 => "NP",
        12 => "SS",
        13 => "GP",
        14 => "PF",
        16 => "MF",
        17 => "AC",
        18 => "MC",
        19 => "XM",
        20 => "VE",
        21 => "CP",
        29 => "VC",
        30 => "SX",
        _ => return format!("vector {vector}"),
    };
    format!("#{known}")
}

/// A machine's end. `output` is the guest's.
pub(crate) fn end(end: End, output: &str) -> String {
    match end {
        End::Exit(GuestExit::Status(0)) => result(output),
        End::Exit(GuestExit::Status(status)) => format!("exit {status}"),
        End::Exit(GuestExit::Panic) => "panic".to_owned(),
        End::Fault { vector } => exception(vector),
        End::ForeignTrap => "foreign trap".to_owned(),
        End::ForeignExit { .. } => "foreign exit".to_owned(),
        End::BadExit { .. } => "bad exit".to_owned(),
        End::TripleFault => "triple fault".to_owned(),
        End::Killed { signal: 31 } => "foreign trap".to_owned(),
        End::Killed { signal } => format!("guest killed by signal {signal}"),
        End::RunFailed { errno } => format!("the host does not run the guest: errno {errno}"),
        End::EntryFailed { reason } => format!("the CPU does not enter the guest: {reason:#x}"),
    }
}

/// The end of `ringwall run`.
pub(crate) fn program(run: &::tests::Run) -> String {
    let stderr = &run.stderr;
    match run.code {
        0 => result(&run.stdout),
        80 => "panic".to_owned(),
        81 if stderr.contains("access outside the machine") => "foreign exit".to_owned(),
        81 => {
            let vector = stderr
                .split_once("(vector ")
                .and_then(|(_, rest)| rest.split_once([',', ')'])?.0.parse().ok());
            vector.map_or_else(|| format!("a fault without a vector: {stderr}"), exception)
        }
        82 => "triple fault".to_owned(),
        83 if stderr.contains("exit with status") => "bad exit".to_owned(),
        83 => "foreign trap".to_owned(),
        84 => "time limit".to_owned(),
        code @ 1..=79 => format!("exit {code}"),
        code => format!("exit {code}: {}", stderr.lines().next().unwrap_or_default()),
    }
}

/// What an attack says that came out of it alive.
fn result(output: &str) -> String {
    match output.lines().find_map(|line| line.strip_prefix("completed ")) {
        Some(value) => format!("gives {value}"),
        None => "done".to_owned(),
    }
}

/// The kind of an outcome: without its value.
pub(crate) fn kind(outcome: &str) -> &str {
    if outcome.starts_with("gives ") { "done" } else { outcome }
}

/// Outcomes of a sweep: the most common one, then what differs, in runs of parameters, then how many there were.
pub(crate) fn tally(outcomes: &[(u64, String)]) -> String {
    const MOST: usize = 8;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (_, outcome) in outcomes {
        match counts.iter_mut().find(|(known, _)| known == outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((outcome, 1)),
        }
    }
    let common = counts.iter().max_by_key(|(_, count)| *count).map_or("nothing", |(outcome, _)| *outcome);
    let mut runs: Vec<(u64, u64, &str)> = Vec::new();
    let mut last = None;
    for (parameter, outcome) in outcomes {
        match runs.last_mut() {
            Some((_, end, known)) if known == outcome && last == Some(*end) => *end = *parameter,
            _ => runs.push((*parameter, *parameter, outcome)),
        }
        last = Some(*parameter);
    }
    let mut text = common.to_owned();
    let others: Vec<_> = runs.iter().filter(|(_, _, outcome)| *outcome != common).collect();
    for (start, end, outcome) in others.iter().take(MOST) {
        let range = if start == end { format!("{start:#x}") } else { format!("{start:#x}..={end:#x}") };
        text += &format!("; {range}: {outcome}");
    }
    if others.len() > MOST {
        text += &format!("; and {} more", others.len() - MOST);
    }
    text + &format!(" ({} values)", outcomes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_names_what_differs() {
        let outcomes = |list: &[(u64, &str)]| -> Vec<(u64, String)> {
            list.iter().map(|(parameter, outcome)| (*parameter, (*outcome).to_owned())).collect()
        };
        let all = [(1, "#GP"), (2, "#GP"), (3, "#UD"), (4, "#UD"), (5, "#GP"), (9, "done")];
        assert_eq!(tally(&outcomes(&all)), "#GP; 0x3..=0x4: #UD; 0x9: done (6 values)");
        assert_eq!(tally(&outcomes(&all[..2])), "#GP (2 values)");
    }
}
