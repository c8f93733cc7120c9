//! A program run as a user runs it: started, read, asked over HTTP, ended.

mod log;

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::host::thread::{Inside, dying_with_parent};
use crate::http::Answer;
use crate::{Host, LabError, Result, binaries, until};
use log::{Log, Stream};

const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(10);

/// A program with its arguments, not yet started.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, Option<OsString>)>,
    host: Option<Host>,
}

/// How a program ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// A program of this workspace, built if necessary.
    pub fn workspace(name: &str) -> Result<Self> {
        binaries::path(name).map(Self::new)
    }

    /// Any program.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), arguments: Vec::new(), variables: Vec::new(), host: None }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), None));
        self
    }

    /// Runs it inside a namespace instead of the test's own.
    #[must_use]
    pub fn inside(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// Runs it with mounts of its own, which can be changed without affecting others.
    #[must_use]
    pub fn with_mounts_of_its_own(mut self) -> Self {
        let program = std::mem::replace(&mut self.path, "unshare".into());
        let before =
            ["--mount".into(), "--propagation".into(), "private".into(), "--".into(), program.into_os_string()];
        self.arguments.splice(0..0, before);
        self
    }

    /// Starts it.
    pub fn start(&self) -> Result<Running> {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn(command)?;
        let log = Log::default();
        log.follow(Stream::Out, child.stdout.take().expect("piped"));
        log.follow(Stream::Err, child.stderr.take().expect("piped"));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Running { name, child, log, host: self.host.clone() })
    }

    /// Starts it on this process's own terminal.
    pub fn start_attached(&self) -> Result<Child> {
        let mut command = self.command();
        command.stdin(Stdio::inherit());
        self.spawn(command)
    }

    fn command(&self) -> Command {
        let mut command = dying_with_parent(&self.path);
        command.args(&self.arguments);
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn spawn(&self, command: Command) -> Result<Child> {
        let inside = inside(self.host.as_ref())?;
        let failed = format!("cannot start {} through setpriv (util-linux)", self.path.display());
        inside.spawn(command).map_err(LabError::io(failed))
    }

    /// Runs it to its end; an error when it has not ended by then.
    pub fn output(&self, deadline: Duration) -> Result<Ended> {
        let mut running = self.start()?;
        let status = running.wait(deadline)?;
        Ok(running.ended(status))
    }
}

/// The host's thread, or one outside any host; it has to live as long as the children that it starts.
fn inside(host: Option<&Host>) -> Result<&Inside> {
    static OUTSIDE: OnceLock<io::Result<Inside>> = OnceLock::new();
    if let Some(host) = host {
        return Ok(host.inside());
    }
    OUTSIDE
        .get_or_init(Inside::this_namespace)
        .as_ref()
        .map_err(|error| LabError::Malformed(format!("cannot start a thread: {error}")))
}

/// A program that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: Log,
    host: Option<Host>,
}

impl Running {
    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, both streams.
    pub fn log(&self) -> String {
        format!("{}{}", self.log.text(Stream::Out), self.log.text(Stream::Err))
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.log.text(Stream::Out)
    }

    /// Waits for a line of either stream that `find` accepts.
    pub fn wait_for_line<T>(&self, what: &str, deadline: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.log.wait_for_line(deadline, find).map_err(|ended| {
            if ended {
                LabError::Ended { program: self.name.clone(), status: format!("no {what}"), log: self.log() }
            } else {
                LabError::Deadline {
                    what: format!("{what} from {}; its log:\n{}", self.name, self.log()),
                    seconds: deadline.as_secs_f64(),
                }
            }
        })
    }

    /// The address it listens on, from the line of its log that says so.
    pub fn address(&self) -> Result<SocketAddr> {
        self.wait_for_line("listening address", START, listening_address)
    }

    /// URL of a path at the [address](Self::address) it listens on.
    pub fn url(&self, path: &str) -> Result<String> {
        let mut address = self.address()?;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Ok(format!("http://{address}{path}"))
    }

    /// `GET` from where it runs.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let url = self.url(path)?;
        self.inside()?.http()?.get(&url)
    }

    /// Waits until a path answers with status 200.
    pub fn get_when_ready(&self, path: &str) -> Result<Answer> {
        let url = self.url(path)?;
        let answer = self.inside()?.http()?.get_when_ready(&url, START);
        answer.map_err(|error| LabError::Malformed(format!("{error}; log of {}:\n{}", self.name, self.log())))
    }

    fn inside(&self) -> Result<&Inside> {
        inside(self.host.as_ref())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| LabError::Malformed(format!("{} has no process id", self.name)))?;
        kill_process(pid, signal).map_err(LabError::io(format!("cannot signal {}", self.name)))
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let ended = until(&what, deadline, || self.child.try_wait().transpose());
        match ended {
            Ok(status) => status.map_err(LabError::io(what)),
            Err(error) => Err(LabError::Malformed(format!("{error}; its log:\n{}", self.log()))),
        }
    }

    /// Sends SIGTERM and waits for the end; an error if that takes longer than ten seconds.
    pub fn terminate(mut self) -> Result<Ended> {
        self.signal(Signal::TERM)?;
        let status = self.wait(END)?;
        Ok(self.ended(status))
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        self.log.wait_for_end();
        Ended { code: status.code(), stdout: self.log.text(Stream::Out), stderr: self.log.text(Stream::Err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first socket address in a line about listening. Not port 0, which only repeats what was requested.
fn listening_address(line: &str) -> Option<SocketAddr> {
    if !line.to_ascii_lowercase().contains("listening") {
        return None;
    }
    line.split(|c: char| c.is_whitespace() || "=\"',/".contains(c))
        .filter_map(|word| word.parse().ok())
        .find(|address: &SocketAddr| address.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_a_log_line() {
        let address = "127.0.0.1:14718".parse().ok();
        assert_eq!(listening_address("2026-11-22T10:00:00Z  INFO address=127.0.0.1:14718 Listening"), address);
        assert_eq!(listening_address(r#"{"address":"x","message":"Listening on http://127.0.0.1:14718/"}"#), address);
        assert_eq!(listening_address("listening on [::]:1,"), "[::]:1".parse().ok());
        assert_eq!(listening_address("Start listening address=127.0.0.1:0"), None);
        assert_eq!(listening_address("connected to 127.0.0.1:14718"), None);
    }
}
