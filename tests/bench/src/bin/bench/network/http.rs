//! `web` and nginx under wrk.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench::result::Comparison;

use super::command::run;
use super::guest::Guest;
use super::of_pairs;
use super::world::{GUEST, PEER, World};
use crate::{Backend, Failure};

/// A small file of the site.
const FILE: &str = "/logo.svg";
const CONNECTIONS: u32 = 64;
const SECONDS: u32 = 3;

/// Requests per second, and the 99th percentile of their times.
pub(super) fn measure(world: &World, backend: Backend, rounds: usize) -> Result<Vec<Comparison>, Failure> {
    let mut guest = Guest::start(backend, "web", &[], &[])?;
    guest.line_with("port 80")?;
    let nginx = Nginx::start(world, &fetch(GUEST)?)?;
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (ours, reference) = (load(GUEST)?, load(PEER)?);
        rates.push((ours.0, reference.0));
        times.push((ours.1, reference.1));
    }
    drop(nginx);
    guest.end()?;
    Ok(vec![
        of_pairs("web, 64 keep-alive connections / nginx", "k/s", &rates),
        of_pairs("web, 99th percentile / nginx", "ms", &times),
    ])
}

/// The file's content, as `web` has it.
fn fetch(host: &str) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect((host, 80))?;
    write!(stream, "GET {FILE} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(format!("web has no {FILE}").into());
    }
    Ok(answer.split_off(end + 4))
}

/// Thousands of requests per second, and the 99th percentile in milliseconds.
fn load(host: &str) -> Result<(f64, f64), Failure> {
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

/// nginx with one worker in the peer's network. It is killed when dropped.
struct Nginx {
    child: Child,
    folder: std::path::PathBuf,
}

impl Nginx {
    fn start(world: &World, content: &[u8]) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("bench-nginx-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(FILE.trim_start_matches('/')), content)?;
        let path = folder.display();
        let configuration = format!(
            "daemon off; worker_processes 1; user root; pid {path}/pid; error_log stderr crit;
            events {{ worker_connections 1024; }}
            http {{ access_log off; sendfile on; tcp_nopush on; keepalive_timeout 60;
            keepalive_requests 1000000000; open_file_cache max=100 inactive=60s;
            types {{ image/svg+xml svg; }}
            client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;
            uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
            server {{ listen {PEER}:80; root {path}; }} }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let child = world.as_peer(|| {
            let started = Command::new("nginx").arg("-c").arg(&file).stdin(Stdio::null()).spawn();
            Ok(started.map_err(|error| format!("nginx: {error}; `scripts/ci setup` installs it"))?)
        })?;
        let nginx = Self { child, folder };
        for _ in 0..100 {
            if TcpStream::connect((PEER, 80)).is_ok() {
                return Ok(nginx);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("nginx does not listen".into())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        // Its worker ends with it only if it is asked.
        let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _gone = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
