//! A thread that lives in a network namespace of its own and so keeps it alive.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::Result;
use crate::http::Http;

type Work = Box<dyn FnOnce() + Send>;

/// Handle of the thread; when it is dropped the thread ends, and the kernel kills the children that it started.
#[derive(Debug)]
pub(crate) struct Inside {
    path: String,
    namespace: File,
    work: Sender<Work>,
    http: OnceLock<Http>,
}

impl Inside {
    pub(crate) fn new_namespace() -> io::Result<Self> {
        #[expect(deprecated, reason = "deprecated for unsharing file descriptors, which this does not do")]
        Self::start(|| Ok(rustix::thread::unshare(UnshareFlags::NEWNET)?))
    }

    /// In the namespace that this process is in; for children that live as long as the process.
    pub(crate) fn this_namespace() -> io::Result<Self> {
        Self::start(|| Ok(()))
    }

    fn start(enter: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (work, todo) = mpsc::channel::<Work>();
        let (ready, started) = mpsc::sync_channel(1);
        thread::Builder::new().name("khan-lab-host".into()).spawn(move || {
            let opened = enter().and_then(|()| {
                // Read and not made of ids: in a pid namespace they need not be those of the `/proc` that is mounted.
                let thread = std::fs::read_link("/proc/thread-self")?;
                let path = format!("/proc/{}/ns/net", thread.display());
                File::open(&path).map(|namespace| (path, namespace))
            });
            let failed = opened.is_err();
            if ready.send(opened).is_err() || failed {
                return;
            }
            for work in todo {
                work();
            }
        })?;
        let (path, namespace) = started.recv().map_err(io::Error::other)??;
        Ok(Self { path, namespace, work, http: OnceLock::new() })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a namespace that is held open can be entered");
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|cause| panic::resume_unwind(cause))
    }

    /// A client in the namespace; one for all requests.
    pub(crate) fn http(&self) -> Result<&Http> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = self.enter(Http::new)?;
        Ok(self.http.get_or_init(|| http))
    }

    /// Starts a child from the long-lived thread: the kernel's parent-death signal is tied to the thread that forked.
    pub(crate) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let (answer, child) = mpsc::sync_channel(1);
        let gone = || io::Error::other("the namespace's thread is gone");
        self.work.send(Box::new(move || drop(answer.send(command.spawn())))).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }
}

/// A command that the kernel kills together with the thread that starts it; std has no safe way to request that.
///
/// This process may die after the fork and before the request. So the child checks its parent afterwards, and does not start
/// if it has been reparented.
pub(crate) fn dying_with_parent(program: &Path) -> Command {
    const BEGIN: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "sh", "-c", BEGIN, &std::process::id().to_string()]);
    command.arg(program).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_whose_parent_is_gone_does_not_begin() {
        let command = dying_with_parent(Path::new("echo"));
        let words = || std::iter::once(command.get_program()).chain(command.get_args());
        let ours = Command::new(command.get_program()).args(command.get_args()).output().expect("setpriv");
        assert_eq!((ours.status.code(), ours.stdout.as_slice()), (Some(0), &b"\n"[..]));
        // The shell is its parent, not this process.
        let orphaned = Command::new("sh").args(["-c", r#""$@"; exit $?"#, "sh"]).args(words()).output().expect("sh");
        assert_eq!((orphaned.status.code(), orphaned.stdout.as_slice()), (Some(1), &b""[..]));
    }
}
