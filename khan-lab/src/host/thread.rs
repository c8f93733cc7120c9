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
                let thread = rustix::thread::gettid().as_raw_nonzero();
                let path = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
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

/// A command that the kernel kills together with the thread that starts it; std has no safe way to ask for that.
pub(crate) fn dying_with_parent(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null());
    command
}
