//! Binding a TCP port, with an error that names the flag and the address.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted: after a restart of the controller every agent of a large cluster comes at once,
/// and the kernel resets those it has no room for. The kernel has its own bound (`net.core.somaxconn`, 4,096 by default).
const BACKLOG: u32 = 4096;

/// The address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({flag}): {}", reason(.source))]
pub struct ListenError {
    flag: &'static str,
    address: SocketAddr,
    source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process has this port".into(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".into(),
        io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE".into(),
        _ => error.to_string(),
    }
}

/// Reads `ADDRESS:PORT`, e.g. `0.0.0.0:14718` or `[::]:14718`. Made for clap's `value_parser`.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected ADDRESS:PORT such as 0.0.0.0:14718, [::]:14718 or 127.0.0.1:0".into())
}

/// Binds `address`, which came from `flag`. Port 0 takes a free port; the listener knows which.
#[expect(clippy::unused_async, reason = "the listener needs the runtime, which an async function is sure to run in")]
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    open(address).map_err(|source| ListenError { flag, address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for connections of the last run to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let error = bind("--listen", address).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address} (--listen): another process has this port"));
    }

    #[test]
    fn a_bad_address_names_the_form() {
        assert!(parse_address("14718").unwrap_err().contains("ADDRESS:PORT"));
        assert_eq!(parse_address("[::]:1").unwrap().port(), 1);
    }
}
