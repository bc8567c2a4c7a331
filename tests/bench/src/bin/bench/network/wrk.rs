//! The load: wrk with some connections that are kept alive, all asking for one small file.

use super::command::run;
use super::nginx::FILE;
use crate::Failure;

const CONNECTIONS: u32 = 64;
const SECONDS: u32 = 3;

/// Thousands of requests per second, and the 99th percentile in milliseconds.
pub(super) fn load(host: &str) -> Result<(f64, f64), Failure> {
    let report = run(&format!("wrk --latency -t 1 -c {CONNECTIONS} -d {SECONDS} http://{host}{FILE}"))?;
    if report.contains("Socket errors") || report.contains("Non-2xx") {
        return Err(report.into());
    }
    let value = |label: &str| {
        let line = report.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(|rest| rest.trim().to_owned()).ok_or_else(|| format!("no {label} in\n{report}"))
    };
    let rate = value("Requests/sec:")?.parse::<f64>()? / 1e3;
    let text = value("99%")?;
    let digits = text.trim_end_matches(char::is_alphabetic);
    let scale = match text.get(digits.len()..) {
        Some("us") => 1e-3,
        Some("ms") => 1.0,
        Some("s") => 1e3,
        _ => return Err(format!("wrk says {text}").into()),
    };
    Ok((rate, digits.parse::<f64>()? * scale))
}
