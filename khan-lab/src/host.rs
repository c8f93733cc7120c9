//! A network namespace: commands and closures run inside it, links lead out of it.

mod links;
pub(crate) mod thread;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub use links::{Link, link};

use crate::http::Answer;
use crate::seed::{self, Seed};
use crate::witness::{self, Entry};
use crate::{LabError, Result};

/// A network namespace that exists as long as a clone of this does. Children started in it die with it.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    inside: thread::Inside,
}

impl Host {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let inside = thread::Inside::new_namespace()
            .map_err(LabError::io(format!("cannot make a network namespace for {name}")))?;
        let host = Self(Arc::new(Inner { name: name.to_owned(), inside }));
        host.run(["ip", "link", "set", "lo", "up"])?;
        Ok(host)
    }

    pub(crate) fn inside(&self) -> &thread::Inside {
        &self.0.inside
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Path of the namespace, for `nsenter --net=PATH` while this process lives.
    pub fn path(&self) -> &str {
        self.0.inside.path()
    }

    /// Runs a closure on a fresh thread inside the namespace. Sockets made there stay in it wherever they are used.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.inside.enter(work)
    }

    /// Runs a command to its end and returns its standard output; an error holds its standard error.
    pub fn run<A: AsRef<str>>(&self, command: impl AsRef<[A]>) -> Result<String> {
        self.run_with_input(command, "")
    }

    /// Like [`run`](Self::run), with text on standard input.
    pub fn run_with_input<A: AsRef<str>>(&self, command: impl AsRef<[A]>, input: &str) -> Result<String> {
        let words: Vec<&str> = command.as_ref().iter().map(AsRef::as_ref).collect();
        let output = self.output(&words, input)?;
        if !output.status.success() {
            return Err(LabError::Command {
                command: format!("{} (in {})", words.join(" "), self.name()),
                status: output.status.to_string(),
                output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        String::from_utf8(output.stdout)
            .map_err(|_| LabError::Malformed(format!("{}: its output is not UTF-8", words.join(" "))))
    }

    fn output(&self, words: &[&str], input: &str) -> Result<Output> {
        let refused = |source| LabError::Io {
            what: format!("cannot run {} (Debian and Ubuntu: apt-get install iproute2 nftables conntrack)", words[0]),
            source,
        };
        self.enter(|| {
            let mut child = Command::new(words[0])
                .args(&words[1..])
                .env("PATH", with_administration(std::env::var("PATH").unwrap_or_default()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let mut stdin = child.stdin.take().expect("piped");
            // What runs here reads all its input before it writes more than a pipe holds.
            stdin.write_all(input.as_bytes())?;
            drop(stdin);
            child.wait_with_output()
        })
        .map_err(refused)
    }

    /// Loads an nft ruleset.
    pub fn nft(&self, ruleset: &str) -> Result {
        // Its grammar wants an end of line behind the last brace.
        self.run_with_input(["nft", "-f", "-"], &format!("{ruleset}\n")).map(drop)
    }

    /// Makes the kernel track connections here. A namespace tracks nothing until a rule asks for it; call this before
    /// the traffic starts.
    pub fn track(&self) -> Result {
        self.nft(
            "table inet khan_track { chain input { type filter hook input priority 0; ct state invalid counter; }; }",
        )
    }

    /// Sets a sysctl of this namespace, named as in `/proc/sys` with dots or slashes.
    pub fn sysctl(&self, name: &str, value: &str) -> Result {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        // A thread sees the sysctls of the namespace it is in.
        self.enter(|| std::fs::write(&path, value)).map_err(LabError::io(format!("cannot set {name} to {value}")))
    }

    /// Reads a sysctl of this namespace.
    pub fn read_sysctl(&self, name: &str) -> Result<String> {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let text =
            self.enter(|| std::fs::read_to_string(&path)).map_err(LabError::io(format!("cannot read {name}")))?;
        Ok(text.trim().to_owned())
    }

    /// Adds a route, in the words of `ip route add`: `["10.1.0.0/16", "via", "10.0.0.2"]`.
    pub fn route<A: AsRef<str>>(&self, route: impl AsRef<[A]>) -> Result {
        let mut words = vec!["ip", "route", "add"];
        words.extend(route.as_ref().iter().map(AsRef::as_ref));
        self.run(words).map(drop)
    }

    /// Makes this namespace forward packets, IPv4 and IPv6.
    pub fn forward(&self) -> Result {
        self.sysctl("net.ipv4.ip_forward", "1")?;
        self.sysctl("net.ipv6.conf.all.forwarding", "1")
    }

    /// The whole table, read by `conntrack -L -o xml`.
    pub fn witness(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for family in ["ipv4", "ipv6"] {
            entries.extend(witness::parse(&self.run(["conntrack", "-L", "-f", family, "-o", "xml"])?)?);
        }
        Ok(entries)
    }

    /// Puts synthetic entries into the table and returns how many the kernel took; an error when it refused one.
    pub fn seed<S: IntoIterator<Item = Seed> + Send>(&self, seeds: S) -> Result<u64> {
        self.enter(|| seed::insert(seeds))
    }

    /// Removes every entry from the table.
    pub fn flush(&self) -> Result {
        self.run(["conntrack", "-F"]).map(drop)
    }

    /// `GET` from inside the namespace.
    pub fn get(&self, url: &str) -> Result<Answer> {
        self.0.inside.http()?.get(url)
    }

    /// `GET` until the answer's status is 200.
    pub fn get_when_ready(&self, url: &str, deadline: Duration) -> Result<Answer> {
        self.0.inside.http()?.get_when_ready(url, deadline)
    }
}

/// Debian installs `ip`, `nft` and `conntrack` where only root's PATH looks.
fn with_administration(path: String) -> String {
    path + ":/usr/sbin:/sbin"
}
