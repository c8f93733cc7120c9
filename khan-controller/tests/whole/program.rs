//! The program, in this process on port 0 or as the real binary.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use khan_controller::app;
use khan_controller::arguments::Arguments;
use khan_controller::watch::WatchSettings;
use khan_serve::exit::Failure;
use khan_serve::shutdown::Shutdown;

/// Deadlines that let a test see them pass.
pub(crate) fn quick() -> WatchSettings {
    WatchSettings {
        page: 3,
        watch: Duration::from_secs(2),
        silence: Duration::from_secs(1),
        streaming: Duration::from_secs(2),
        absent: Duration::from_millis(500),
        pause: (Duration::from_millis(20), Duration::from_millis(200)),
    }
}

/// A controller in this process; stops when it is dropped.
pub(crate) struct Controller {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

pub(crate) async fn start(arguments: &[&str]) -> Controller {
    try_start(arguments).await.unwrap()
}

pub(crate) async fn try_start(arguments: &[&str]) -> Result<Controller, Failure> {
    khan_serve::tls_provider::install();
    let all = ["khan-controller", "--listen", "127.0.0.1:0"].iter().chain(arguments);
    let arguments = Arguments::try_parse_from(all).unwrap();
    let shutdown = Shutdown::new();
    let bound = app::start(&arguments, quick(), shutdown.clone()).await?;
    Ok(Controller { address: bound.address, shutdown })
}

/// A controller of the cluster that `server` has.
pub(crate) async fn watching(server: &khan_lab::ApiServer) -> Controller {
    let kubeconfig = server.kubeconfig();
    start(&["--kubeconfig", text(kubeconfig.path())]).await
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khan-controller"));
    // Nothing of this machine's own cluster may leak in.
    command.env_clear().args(arguments);
    command
}

/// Runs the binary to its end, for arguments that make it end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The binary, running; killed when it is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child =
            command(&[&["--listen", "127.0.0.1:0"], arguments].concat()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended before it listened").unwrap();
            if let Some((_, address)) = line.split_once("Listening on ") {
                break address.trim().parse().unwrap();
            }
        };
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        Self { child, address, log }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// What it has logged since it listens.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for its end, which must come within `patience`.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Option<i32> {
        let status = super::client::within(patience, async || self.child.try_wait().unwrap().ok_or("still runs")).await;
        status.code()
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}
