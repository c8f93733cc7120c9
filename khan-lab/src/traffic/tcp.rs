//! TCP: a server that keeps what it accepts, and clients that hold connections.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::{Host, LabError, Result, until};

const BACKLOG: i32 = 4096;
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends back what it gets and closes after the client did. Its thread ends when it is dropped.
#[derive(Debug)]
pub struct TcpServer {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TcpServer {
    /// Listens on `address` in `host`; port 0 picks one.
    pub fn start(host: &Host, address: SocketAddr) -> Result<Self> {
        Self::start_with(host, address, true)
    }

    /// Like [`start`](Self::start), but never closes: its clients' connections stay half-closed.
    pub fn start_never_closing(host: &Host, address: SocketAddr) -> Result<Self> {
        Self::start_with(host, address, false)
    }

    fn start_with(host: &Host, address: SocketAddr, closes: bool) -> Result<Self> {
        let failed = |source| LabError::Io { what: format!("cannot listen on {address} in {}", host.name()), source };
        let listener = host.enter(|| listen(address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let open = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel();
        let count = Arc::clone(&open);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let thread = std::thread::spawn(move || runtime.block_on(serve(listener, count, closes, stopped)));
        Ok(Self { address, open, stop: Some(stop), thread: Some(thread) })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it has accepted and not closed.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until it holds exactly `count` connections.
    pub fn wait_for_open(&self, count: usize) -> Result {
        let what = format!("{count} open connections at {}", self.address);
        until(&what, PATIENCE, || (self.open() == count).then_some(()))
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

async fn serve(
    listener: std::net::TcpListener,
    open: Arc<AtomicUsize>,
    closes: bool,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = TcpListener::from_std(listener).expect("a non-blocking listener inside a runtime");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        // A client that is gone before it was accepted is no failure of the server.
        let Ok((mut stream, _)) = accepted else { continue };
        open.fetch_add(1, Ordering::SeqCst);
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            let mut chunk = [0; 1024];
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                if stream.write_all(&chunk[..length]).await.is_err() {
                    break;
                }
            }
            if !closes {
                std::future::pending::<()>().await;
            }
            drop(stream);
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Established connections that stay so until they are closed or dropped.
#[derive(Debug)]
pub struct Connections {
    streams: Vec<TcpStream>,
}

impl Connections {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The clients' addresses.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.streams.iter().filter_map(|stream| stream.local_addr().ok()).collect()
    }

    /// Sends something on each and waits for the echo.
    pub fn talk(&mut self) -> Result {
        self.streams.iter_mut().try_for_each(echo).map_err(LabError::io("no echo on a held connection"))
    }

    /// Sends FIN on each and keeps the sockets: half-closed by the client.
    pub fn shut_down_writing(&self) -> Result {
        self.streams
            .iter()
            .try_for_each(|stream| stream.shutdown(Shutdown::Write))
            .map_err(LabError::io("cannot shut a connection down"))
    }

    /// Closes each and waits for the server to do the same: the kernel remembers them in `TIME_WAIT`.
    pub fn close(self) -> Result {
        self.shut_down_writing()?;
        for mut stream in self.streams {
            let closed = stream.read_to_end(&mut Vec::new());
            closed.map_err(LabError::io("waiting for the server to close a connection"))?;
        }
        Ok(())
    }

    /// Takes `count` of them out, to treat them differently.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Self {
        Self { streams: self.streams.split_off(self.streams.len().saturating_sub(count)) }
    }
}

/// Opens `count` connections from `host`, and waits for an echo on each, so that both ends have seen it.
pub fn hold_tcp(host: &Host, server: SocketAddr, count: usize) -> Result<Connections> {
    connect_all(host, None, server, count)
}

/// Like [`hold_tcp`], from a given address of the host.
pub fn hold_tcp_from(host: &Host, source: IpAddr, server: SocketAddr, count: usize) -> Result<Connections> {
    connect_all(host, Some(source), server, count)
}

fn connect_all(host: &Host, source: Option<IpAddr>, server: SocketAddr, count: usize) -> Result<Connections> {
    let connected = host.enter(|| (0..count).map(|_| connect(source, server)).collect::<io::Result<Vec<_>>>());
    let streams = connected.map_err(LabError::io(format!("cannot connect from {} to {server}", host.name())))?;
    Ok(Connections { streams })
}

fn connect(source: Option<IpAddr>, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&server.into(), PATIENCE)?;
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    echo(&mut stream)?;
    Ok(stream)
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"k")?;
    stream.read_exact(&mut [0])
}

/// Connection attempts that nobody has answered; they stay in `SYN_SENT` until dropped.
#[derive(Debug)]
pub struct Pending {
    sockets: Vec<Socket>,
}

impl Pending {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}

/// Sends SYNs and does not wait. The path to `server` has to drop them, or they do not stay half-open.
pub fn half_open(host: &Host, server: SocketAddr, count: usize) -> Result<Pending> {
    let begun = || (0..count).map(|_| begin(server)).collect::<io::Result<Vec<_>>>();
    let sockets = host.enter(begun).map_err(LabError::io(format!("cannot begin to connect to {server}")))?;
    Ok(Pending { sockets })
}

fn begin(server: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(server)) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Ok(socket),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("it was accepted at once")),
    }
}
