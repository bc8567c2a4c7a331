//! Running the `ringwall` program.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::{App, Backend, Capture};

/// Longest that a run may take. Far above what any needs: a test that meets it has hung.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// How a run ended, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Exit code; 128 + n for a program that died of signal n, as a shell has it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Checks the exit code and shows everything if it is another.
    ///
    /// # Panics
    /// If it is.
    #[track_caller]
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that a refused command said why in one line that holds `reason`, and printed nothing else.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn says_once(&self, reason: &str) {
        let line = self.stderr.strip_suffix('\n').unwrap_or_default();
        let one = line.starts_with("ringwall: ") && !line.contains('\n');
        assert!(one && line.contains(reason), "wanted one line with {reason:?}, found:\n{}", self.stderr);
        assert_eq!(self.stdout, "");
    }
}

/// A command line of `ringwall`.
#[derive(Debug)]
pub struct Ringwall {
    command: Command,
    guest: Vec<String>,
}

impl Ringwall {
    /// The program alone.
    #[must_use]
    pub fn new() -> Self {
        Self::under(&[])
    }

    /// The program started by another one: `wrapper` and its arguments, such as `ip netns exec NAME`.
    #[must_use]
    pub fn under(wrapper: &[&str]) -> Self {
        let program = program().as_os_str();
        let mut words = wrapper.iter().map(OsStr::new).chain([program]);
        let mut command = Command::new(words.next().unwrap_or(program));
        command.args(words);
        Self { command, guest: Vec::new() }
    }

    /// Another program, whose arguments will lead to this one.
    #[must_use]
    pub fn other(program: &Path) -> Self {
        Self { command: Command::new(program), guest: Vec::new() }
    }

    /// A command that leads to this program, its environment included.
    #[must_use]
    pub fn from_command(command: Command) -> Self {
        Self { command, guest: Vec::new() }
    }

    /// The program's file.
    #[must_use]
    pub fn program() -> &'static Path {
        program()
    }

    /// `ringwall run` of an appliance on a backend.
    #[must_use]
    pub fn run_app(backend: Backend, app: App) -> Self {
        Self::new().args(["run"]).image(backend, app.image())
    }

    /// Names the image and chooses the backend.
    #[must_use]
    pub fn image(self, backend: Backend, image: &Path) -> Self {
        self.args(["--backend", backend.name()]).args([image])
    }

    /// Arguments of `ringwall`.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Arguments of the appliance.
    #[must_use]
    pub fn guest(mut self, arguments: &[&str]) -> Self {
        self.guest.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// If the program cannot be started, or hangs.
    #[must_use]
    pub fn run(self) -> Run {
        self.start().wait()
    }

    /// Starts and returns at once. The program and its children are a process group of their own.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[must_use]
    pub fn start(mut self) -> Running {
        if !self.guest.is_empty() {
            self.command.arg("--").args(&self.guest);
        }
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = self.command.spawn().expect("ringwall starts");
        let stdout = Capture::of(child.stdout.take().expect("it is piped"));
        let stderr = Capture::of(child.stderr.take().expect("it is piped"));
        Running { child, stdout, stderr }
    }
}

impl Default for Ringwall {
    fn default() -> Self {
        Self::new()
    }
}

/// A running `ringwall`. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its standard output.
    pub stdout: Capture,
    /// Its standard error.
    pub stderr: Capture,
}

impl Running {
    /// Process id of the parent, which is the id of the process group too.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Process ids of the monitor and the helpers.
    #[must_use]
    pub fn children(&self) -> Vec<Pid> {
        children_of(self.pid())
    }

    /// Process id of the guest, where it is a process: the one child of a child.
    #[must_use]
    pub fn guest(&self) -> Option<Pid> {
        self.children().into_iter().find_map(|child| children_of(child).first().copied())
    }

    /// Address on this host that a published port has, read from what the program says when it starts.
    ///
    /// # Panics
    /// If it says nothing of the kind.
    #[must_use]
    pub fn published(&self, protocol: &str) -> SocketAddr {
        let line = self.stderr.line_with(&format!(" ({protocol}) leads to port "));
        let address = line.split(' ').find_map(|word| word.parse().ok());
        address.unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// Sends a signal to the parent alone, and returns when it has taken it or ended: two signals of one kind would merge
    /// while the first is pending.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the process is there");
        let status = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let pending = || {
            let status =
                std::fs::read_to_string(&status).ok().filter(|status| !status.contains("State:\tZ"))?;
            let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"))?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            (mask & 1 << (signal.as_raw() - 1) != 0).then_some(())
        };
        while pending().is_some() {
            std::thread::yield_now();
        }
    }

    /// Sends a signal to the whole group.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal_all(&self, signal: Signal) {
        rustix::process::kill_process_group(self.pid(), signal).expect("the group is there");
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If it hangs.
    #[must_use]
    pub fn wait(self) -> Run {
        self.wait_at_most(TIME_LIMIT)
    }

    /// Waits for the end, which has to come within `limit`.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn wait_at_most(mut self, limit: Duration) -> Run {
        let ended = self.ends_within(limit);
        assert!(ended, "still running:\n{}\n{}", self.stdout.text(), self.stderr.text());
        let status = self.child.wait().expect("a child can be waited for");
        let code = status.code().or_else(|| Some(128 + status.signal()?));
        Run { code: code.expect("it ended"), stdout: self.stdout.to_end(), stderr: self.stderr.to_end() }
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let pidfd = rustix::process::pidfd_open(self.pid(), PidfdFlags::empty())
            .expect("the child is not reaped yet");
        let limit = Timespec::try_from(limit).expect("limits are short");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready == 1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended and waited for in the good case, and then there is nobody to kill.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Waits until a process, not necessarily a child, has ended.
///
/// # Panics
/// If it does not.
pub fn wait_for_end(pid: Pid) {
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => {
            let limit = Timespec::try_from(TIME_LIMIT).expect("limits are short");
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            let ready = rustix::event::poll(&mut fds, Some(&limit)).expect("poll");
            assert_eq!(ready, 1, "{pid} is still there");
        }
        // Ended, and taken care of, already.
        Err(errno) => assert_eq!(errno, rustix::io::Errno::SRCH),
    }
}

/// Processes of a process group that have not ended.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn processes_in_group(group: Pid) -> Vec<Pid> {
    let group = group.as_raw_nonzero().get().to_string();
    processes_with(|mut fields| fields.nth(1) == Some(group.as_str()))
}

/// Processes that have not ended, by the fields of `/proc/PID/stat` from the parent on.
fn processes_with(wanted: impl Fn(std::str::SplitWhitespace<'_>) -> bool) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    processes
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name in parentheses: state, parent, group (proc_pid_stat(5)).
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let state = fields.next()?;
            (state != "Z" && wanted(fields)).then_some(pid)
        })
        .collect()
}

/// Children of a process that have not ended.
fn children_of(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get().to_string();
    processes_with(|mut fields| fields.next() == Some(parent.as_str()))
}

/// The `ringwall` program: the one that `RINGWALL_BIN` names, or built once, with the profile and in the target directory of this
/// test program.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = std::env::var_os("RINGWALL_BIN") {
            return program.into();
        }
        let test = std::env::current_exe().expect("this program has a path");
        // TARGET_DIR[/TRIPLE]/PROFILE/deps/NAME-HASH
        let folder = test.parent().and_then(Path::parent).expect("cargo put it two folders deep");
        let profile = folder.file_name().and_then(OsStr::to_str).expect("the folder has the profile's name");
        let parent = folder.parent().expect("the profile's folder lies in the target directory");
        let triple = parent.file_name().and_then(OsStr::to_str).filter(|name| name.contains("-linux-"));
        let target_dir = if triple.is_some() { parent.parent().unwrap_or(parent) } else { parent };

        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "loader", "--bin", "ringwall", "--profile"]);
        cargo.arg(if profile == "debug" { "dev" } else { profile }).arg("--target-dir").arg(target_dir);
        if let Some(triple) = triple {
            cargo.args(["--target", triple]);
        }
        let status = cargo.current_dir(crate::app::workspace()).status().expect("cargo starts");
        assert!(status.success(), "ringwall does not build");
        folder.join("ringwall")
    })
}
