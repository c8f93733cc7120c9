//! Clients that ask without a break, on as many connections as the agent takes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

/// How long a connection that was cut waits before it comes back: SYN floods are another attack, and the kernel's to stop.
const PAUSE: Duration = Duration::from_millis(50);

/// What attackers do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    /// What they ask for, each connection for one of these.
    pub(crate) paths: &'static [&'static str],
    /// How many connections they hold.
    pub(crate) connections: usize,
    /// Whether they read the answers.
    pub(crate) read: bool,
}

impl Attack {
    /// Runs the attack on one thread of its own while `work` runs. Both are in the network namespace of the caller.
    pub(crate) fn during<T>(self, agent: SocketAddr, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let mut clients = JoinSet::new();
                    for path in self.paths.iter().cycle().take(self.connections) {
                        clients.spawn(attack(agent, path, self.read));
                    }
                    // Ends when `stop` is dropped, also by a panic.
                    let _ = stopped.await;
                });
            });
            let outcome = work();
            drop(stop);
            outcome
        })
    }
}

/// Writes requests for ever, and comes back when the connection is cut.
async fn attack(agent: SocketAddr, path: &str, read: bool) {
    let requests = format!("GET {path} HTTP/1.1\r\nhost: n1\r\n\r\n").repeat(50);
    loop {
        if let Ok((reading, writing)) = connect(agent, read).await {
            tokio::select! { () = write(writing, &requests) => {} () = take(reading, read) => {} }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connect(agent: SocketAddr, read: bool) -> std::io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let socket = TcpSocket::new_v4()?;
    if !read {
        socket.set_recv_buffer_size(4096)?;
    }
    Ok(socket.connect(agent).await?.into_split())
}

async fn write(mut stream: OwnedWriteHalf, requests: &str) {
    while stream.write_all(requests.as_bytes()).await.is_ok() {}
}

async fn take(mut stream: OwnedReadHalf, read: bool) {
    if !read {
        return std::future::pending().await;
    }
    let mut buffer = vec![0; 64 * 1024];
    while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
}
