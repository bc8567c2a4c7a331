//! Settings: their names, ranges and defaults. The build script and the appliance read them with the same code.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::str::FromStr;
use core::time::Duration;

/// Most backends.
pub const MAX_BACKENDS: usize = 64;

/// Who gets a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Each backend in turn.
    RoundRobin,
    /// The backend with fewest connections.
    LeastConnections,
}

/// How the health of backends is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What to ask for; empty if accepting a connection is enough.
    pub path: String,
    /// Time between two checks.
    pub interval: Duration,
    /// Time for one.
    pub timeout: Duration,
    /// Failures in a row that take a backend out.
    pub fall: u32,
    /// Successes in a row that bring it back.
    pub rise: u32,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Port for clients.
    pub listen: u16,
    /// Where connections lead: 1 to [`MAX_BACKENDS`].
    pub backends: Vec<SocketAddr>,
    /// Who gets a new connection.
    pub policy: Policy,
    /// Whether backends get a PROXY header of version 2.
    pub proxy: bool,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most that wait to be taken.
    pub backlog: usize,
    /// Bytes of each of a connection's four socket buffers.
    pub buffer_bytes: usize,
    /// Time for a backend to accept a connection.
    pub connect_timeout: Duration,
    /// Longest silence of a connection.
    pub idle_timeout: Duration,
    /// Time for connections to end after SIGTERM.
    pub drain_timeout: Duration,
    /// Health checks.
    pub check: Check,
    /// Port of the status page.
    pub status: Option<u16>,
    /// Whether boot arguments may change anything.
    pub arguments: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: 80,
            backends: Vec::new(),
            policy: Policy::RoundRobin,
            proxy: false,
            max_connections: 1000,
            backlog: 128,
            buffer_bytes: 8192,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(4),
            check: Check {
                path: String::new(),
                interval: Duration::from_secs(2),
                timeout: Duration::from_secs(1),
                fall: 3,
                rise: 2,
            },
            status: Some(8404),
            arguments: true,
        }
    }
}

impl Config {
    /// Changes one setting. The value of a list is its members with commas in between.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "listen" => self.listen = number(value, 1..=u16::MAX)?,
            "backends" => self.backends = backends(value)?,
            "balance" => {
                self.policy = match value {
                    "round-robin" => Policy::RoundRobin,
                    "least-connections" => Policy::LeastConnections,
                    _ => return Err(format!("`{value}` is neither `round-robin` nor `least-connections`")),
                }
            }
            "proxy-protocol" => self.proxy = choice(value, "v2", "none")?,
            "max-connections" => self.max_connections = number(value, 1..=100_000)?,
            "backlog" => self.backlog = number(value, 1..=4096)?,
            "buffer" => self.buffer_bytes = number(value, 2048..=1 << 20)?,
            "connect-timeout" => self.connect_timeout = duration(value)?,
            "idle-timeout" => self.idle_timeout = duration(value)?,
            "drain-timeout" => self.drain_timeout = duration(value)?,
            "health-path" => self.check.path = path(value)?,
            "health-interval" => self.check.interval = duration(value)?,
            "health-timeout" => self.check.timeout = duration(value)?,
            "health-fall" => self.check.fall = number(value, 1..=100)?,
            "health-rise" => self.check.rise = number(value, 1..=100)?,
            "status" => self.status = Some(number(value, 0..=u16::MAX)?).filter(|port| *port != 0),
            "arguments" => self.arguments = choice(value, "true", "false")?,
            _ => return Err(format!("there is no setting `{name}`")),
        }
        Ok(())
    }

    /// Checks what no setting can be blamed for alone.
    ///
    /// # Errors
    /// What does not go together.
    pub fn check(&self) -> Result<(), String> {
        if self.backends.is_empty() {
            return Err("`backends` is missing: there is nowhere to lead connections".to_string());
        }
        if self.status == Some(self.listen) {
            return Err(format!("`listen` and `status` are both port {}", self.listen));
        }
        Ok(())
    }

    /// The baked settings, changed by arguments of the form NAME=VALUE.
    ///
    /// # Errors
    /// What is wrong with an argument, or that none are allowed.
    pub fn from_parts<'a>(
        baked: &[(&str, &str)],
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let mut config = Self::default();
        for (name, value) in baked {
            config.set(name, value)?;
        }
        for argument in arguments {
            if !config.arguments {
                return Err("the configuration of this image allows no arguments".to_string());
            }
            let (name, value) =
                argument.split_once('=').ok_or_else(|| format!("`{argument}` is not NAME=VALUE"))?;
            config.set(name, value).map_err(|wrong| format!("{name}: {wrong}"))?;
        }
        config.check()?;
        Ok(config)
    }
}

fn backends(value: &str) -> Result<Vec<SocketAddr>, String> {
    let mut list = Vec::new();
    for word in value.split(',').filter(|word| !word.is_empty()) {
        let address: SocketAddr =
            word.parse().map_err(|_| format!("`{word}` is not ADDRESS:PORT or [ADDRESS]:PORT"))?;
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(format!("`{word}` is nobody's address"));
        }
        if list.contains(&address) {
            return Err(format!("`{word}` is there twice"));
        }
        list.push(address);
    }
    if list.is_empty() || list.len() > MAX_BACKENDS {
        return Err(format!("there must be 1 to {MAX_BACKENDS} backends, not {}", list.len()));
    }
    Ok(list)
}

fn number<T: FromStr + PartialOrd + core::fmt::Display>(
    value: &str,
    range: RangeInclusive<T>,
) -> Result<T, String> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{value}` is not a number from {} to {}", range.start(), range.end()))
}

fn choice(value: &str, yes: &str, no: &str) -> Result<bool, String> {
    match value {
        _ if value == yes => Ok(true),
        _ if value == no => Ok(false),
        _ => Err(format!("`{value}` is neither `{yes}` nor `{no}`")),
    }
}

/// A number with a unit, from a millisecond to a day.
fn duration(value: &str) -> Result<Duration, String> {
    const DAY_MS: u64 = 86_400_000;
    let digits = value.trim_end_matches(|byte: char| byte.is_ascii_alphabetic());
    let scale = match value.get(digits.len()..) {
        Some("ms") => Some(1),
        Some("s") => Some(1_000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        _ => None,
    };
    let ms = digits.parse::<u64>().ok().zip(scale).and_then(|(number, scale)| number.checked_mul(scale));
    let ms = ms.filter(|ms| (1..=DAY_MS).contains(ms));
    ms.map(Duration::from_millis)
        .ok_or_else(|| format!("`{value}` is not a time such as 500ms, 2s, 5m or 1h, up to 24h"))
}

fn path(value: &str) -> Result<String, String> {
    let good = value.is_empty() || value.starts_with('/');
    if good && value.len() <= 1024 && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(value.to_string());
    }
    Err(format!("`{value}` is not a path such as /health"))
}
