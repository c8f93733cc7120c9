//! UDP: a server that answers, and clients that wait for the answer or do not.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Host, LabError, Result};

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends every datagram back. Its thread ends when it is dropped.
#[derive(Debug)]
pub struct UdpServer {
    address: SocketAddr,
    socket: Arc<UdpSocket>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpServer {
    /// Receives on `address` in `host`; port 0 picks one.
    pub fn start(host: &Host, address: SocketAddr) -> Result<Self> {
        let failed = |source| LabError::Io { what: format!("cannot receive on {address} in {}", host.name()), source };
        let socket = Arc::new(host.enter(|| UdpSocket::bind(address)).map_err(failed)?);
        let address = socket.local_addr().map_err(failed)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (echo, stop) = (Arc::clone(&socket), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            let mut datagram = [0; 2048];
            while !stop.load(Ordering::SeqCst) {
                // An ICMP error for an earlier answer comes out here and concerns nobody.
                if let Ok((length, client)) = echo.recv_from(&mut datagram) {
                    let _ = echo.send_to(&datagram[..length], client);
                }
            }
        });
        Ok(Self { address, socket, stopping, thread: Some(thread) })
    }

    /// The address that it receives on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Linux wakes a receiver when its socket is shut down, connected or not.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sockets that have sent; each is one entry of the table.
#[derive(Debug)]
pub struct Datagrams {
    sockets: Vec<UdpSocket>,
}

impl Datagrams {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}

/// One datagram and one answer on each of `count` sockets.
pub fn udp_exchange(host: &Host, server: SocketAddr, count: usize) -> Result<Datagrams> {
    each(host, server, count, |socket| {
        socket.send(b"k")?;
        socket.recv(&mut [0; 16]).map(drop)
    })
}

/// One datagram on each of `count` sockets, and no wait for an answer.
pub fn udp_one_way(host: &Host, server: SocketAddr, count: usize) -> Result<Datagrams> {
    each(host, server, count, |socket| socket.send(b"k").map(drop))
}

fn each(
    host: &Host,
    server: SocketAddr,
    count: usize,
    talk: impl Fn(&UdpSocket) -> io::Result<()> + Sync,
) -> Result<Datagrams> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let one = || {
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        talk(&socket)?;
        Ok(socket)
    };
    let talked = host.enter(|| (0..count).map(|_| one()).collect::<io::Result<Vec<_>>>());
    let sockets = talked.map_err(LabError::io(format!("no UDP exchange between {} and {server}", host.name())))?;
    Ok(Datagrams { sockets })
}
