//! nginx, as a peer of `web` and as what `lb` leads to.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;

/// The small file that it serves.
pub(super) const FILE: &str = "/logo.svg";

/// A running nginx with one worker. It is killed when dropped.
#[derive(Debug)]
pub(super) struct Nginx {
    child: Child,
    folder: std::path::PathBuf,
}

impl Nginx {
    /// Starts one in this thread's network that serves `content` as [`FILE`].
    pub(super) fn start(address: &str, port: u16, content: &[u8]) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("bench-nginx-{}-{port}", std::process::id()));
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
            server {{ listen {address}:{port}; root {path}; }} }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let started = Command::new("nginx").arg("-c").arg(&file).stdin(Stdio::null()).spawn();
        let child = started.map_err(|error| format!("nginx: {error}; `scripts/ci setup` installs it"))?;
        let nginx = Self { child, folder };
        wait_for(address, port)?;
        Ok(nginx)
    }
}

/// Waits until something listens there.
pub(super) fn wait_for(address: &str, port: u16) -> Result<(), Failure> {
    for _ in 0..100 {
        if TcpStream::connect((address, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("nothing listens on {address}:{port}").into())
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
