//! The socket to the kernel: what a dump needs of it, and the real one.

use std::io;
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG};
use netlink_sys::{Socket, SocketAddr};
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

/// How long the kernel may take for one datagram. It answers at once; only a lost dump stays silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends requests and receives datagrams. Tests put a scripted one in the kernel's place.
pub trait Link {
    /// Sends one request.
    fn send(&mut self, request: &[u8]) -> io::Result<()>;

    /// Receives one datagram. The length is that of the datagram, and exceeds the buffer's when it did not fit.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A netlink socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Kernel(Socket);

impl Kernel {
    /// Opens a socket to connection tracking that hears nobody but the kernel.
    pub fn open() -> io::Result<Self> {
        Self::open_to(NETLINK_NETFILTER)
    }

    /// Likewise to links and routes.
    pub fn open_routes() -> io::Result<Self> {
        Self::open_to(NETLINK_ROUTE)
    }

    /// Likewise to the list of sockets.
    pub fn open_sockets() -> io::Result<Self> {
        Self::open_to(NETLINK_SOCK_DIAG)
    }

    fn open_to(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self(socket))
    }
}

impl Link for Kernel {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.0.send(request, 0).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, len) = rustix::net::recv(&self.0, buffer, RecvFlags::TRUNC)?;
        Ok(len)
    }
}
