//! An appliance on the tap, or on the `user` network.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::world::{GUEST, GUEST_MAC, TAP};
use crate::{Backend, Failure, beside, image};

/// A running appliance. It is killed when dropped.
#[derive(Debug)]
pub(super) struct Guest {
    child: Child,
    console: BufReader<ChildStdout>,
}

/// What an appliance's NIC leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Net {
    Tap,
    User,
}

impl Guest {
    /// Starts an appliance of this workspace on the tap, with arguments for itself and options for `ringwall run`.
    pub(super) fn start(
        backend: Backend,
        app: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        Self::start_on(Net::Tap, backend, app, options, arguments)
    }

    /// The same on any network.
    pub(super) fn start_on(
        net: Net,
        backend: Backend,
        app: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        let net = match net {
            Net::Tap => format!("tap:{TAP},ip={GUEST}/24,gw=10.77.0.1,mac={GUEST_MAC}"),
            Net::User => "user".to_owned(),
        };
        let mut child = Command::new(beside("ringwall")?)
            .args(["run", "--backend", backend.name(), "--net", &net])
            .args(options)
            .arg(image(app)?)
            .arg("--")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let console = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, console })
    }

    /// Waits for a line on the console that holds `text`.
    pub(super) fn line_with(&mut self, text: &str) -> Result<String, Failure> {
        let mut line = String::new();
        while self.console.read_line(&mut line)? > 0 {
            if line.contains(text) {
                return Ok(line);
            }
            line.clear();
        }
        Err(format!("the appliance ended without saying `{text}`: {}", self.child.wait()?).into())
    }

    /// Its processes: parent, monitor, and the guest if that is one.
    pub(super) fn processes(&self) -> Result<Vec<String>, Failure> {
        let mut all = vec![self.child.id().to_string()];
        while let Some(pid) = all.last() {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            match children.split_whitespace().next() {
                Some(child) => all.push(child.to_owned()),
                None => break,
            }
        }
        Ok(all)
    }

    /// Waits until it has ended by itself and everything that it used is free again.
    pub(super) fn wait(mut self) -> Result<(), Failure> {
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the appliance ended with {status}").into()) }
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
