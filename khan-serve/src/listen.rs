//! Binding a TCP port, with an error that names the flag and the address.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

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
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { flag, address, source })
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
