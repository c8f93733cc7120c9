//! Connections that the kernel picked up in midstream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use khan_lab::{Host, Lab, Result};

use crate::support::{Agent, ip, node_and_outside};

struct Pair {
    client: TcpStream,
    server: TcpStream,
}

fn connect(outside: &Host, node: &Host, server: SocketAddr) -> Pair {
    let listener = outside.enter(|| TcpListener::bind(server)).expect("a listener");
    let client = node.enter(|| TcpStream::connect(server)).expect("a connection");
    Pair { client, server: listener.accept().expect("a client").0 }
}

#[test]
fn who_speaks_first_is_not_taken_for_the_client() -> Result {
    let lab = Lab::new()?;
    let (node, outside) = node_and_outside(&lab)?;
    node.track()?;
    let address = |text: &str| text.parse().expect("an address");
    let mut low = connect(&outside, &node, address("10.9.0.2:5432"));
    let mut high = connect(&outside, &node, address("10.9.0.2:40123"));
    node.flush()?;
    assert_eq!(node.witness()?, []);
    // The server of one speaks first, the client of the other.
    low.server.write_all(b"hello").expect("sent");
    low.client.read_exact(&mut [0; 5]).expect("received");
    high.client.write_all(b"hello").expect("sent");
    high.server.read_exact(&mut [0; 5]).expect("received");
    // A handshake that is seen, from the very port that servers have.
    let seen = connect(&outside, &node, address("10.9.0.2:40124"));

    let wrong = node.witness()?.into_iter().filter(|entry| entry.orig.src == ip("10.9.0.2")).count();
    assert_eq!(wrong, 1, "the kernel took the server that spoke first for the client");
    let snapshot = Agent::default().scan(&node).to_api(10);
    assert_eq!(snapshot.table.turned, 1);
    let mut rows: Vec<_> = snapshot
        .rows
        .iter()
        .map(|row| (snapshot.endpoints[row.src as usize].ip, snapshot.endpoints[row.dst as usize].ip, row.port))
        .collect();
    rows.sort_unstable();
    let row = |port| (Some(ip("10.9.0.1")), Some(ip("10.9.0.2")), port);
    assert_eq!(rows, [row(5432), row(40123), row(40124)]);
    drop(seen);
    Ok(())
}
