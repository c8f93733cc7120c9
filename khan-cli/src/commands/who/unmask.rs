//! A server sees a masqueraded client as the node's address. The node itself knows better: in its table stands a connection
//! whose reply tuple ends where the server's original tuple begins, and its original tuple has the real client.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use khan_api::{Connection, Kind};
use serde::Serialize;

use super::identity::Known;
use super::{Subject, called};
use crate::feed::{Feed, SampleRequest};
use crate::model::View;

/// Maximum number of sockets to follow.
const FOLLOWED: usize = 20;

/// A masqueraded socket and the client behind it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unmasked {
    /// What the server sees.
    pub seen: SocketAddr,
    /// The real client.
    pub client: SocketAddr,
    /// Its name, when somebody knows it.
    pub name: Option<String>,
    /// What it dialled.
    pub dialled: SocketAddr,
    /// Whose table says so.
    pub node: String,
}

/// Looks behind the subject: its socket, or the sockets of a node's address.
pub(super) async fn unmask(
    subject: &Subject,
    view: &View,
    feed: &Feed,
    addresses: &[Known],
    notes: &mut Vec<String>,
) -> Vec<Unmasked> {
    let seen = match subject {
        Subject::Socket(socket) => vec![*socket],
        _ => sockets(view, feed, addresses, notes).await,
    };
    let mut found = BTreeMap::new();
    for socket in seen {
        let request = SampleRequest {
            nodes: homes(view, socket.ip()),
            reply_dst: Some((socket.ip(), socket.port())),
            limit: 10,
            ..SampleRequest::default()
        };
        match feed.handle.sample(request).await {
            Ok(samples) => {
                notes.extend(samples.missed.iter().map(ToString::to_string));
                for sample in samples.tables {
                    for connection in sample.connections.iter().filter(|c| is_masqueraded(c, socket)) {
                        let client = SocketAddr::new(connection.src, connection.src_port);
                        found.insert(
                            (socket, client),
                            Unmasked {
                                seen: socket,
                                client,
                                name: called(view, connection.src),
                                dialled: SocketAddr::new(connection.dst, connection.dst_port),
                                node: (&sample.node).into(),
                            },
                        );
                    }
                }
            }
            Err(error) => {
                notes.push(format!("cannot find out who is behind {socket}: {error}"));
                break;
            }
        }
    }
    found.into_values().collect()
}

/// Exact: protocol apart, address and port are those of the server's original tuple; and somebody else is behind them.
fn is_masqueraded(connection: &Connection, seen: SocketAddr) -> bool {
    let reply = SocketAddr::new(connection.reply_dst, connection.reply_dst_port);
    reply == seen && connection.src != connection.reply_dst
}

/// Sockets of nodes that servers on other nodes see as clients.
async fn sockets(view: &View, feed: &Feed, addresses: &[Known], notes: &mut Vec<String>) -> Vec<SocketAddr> {
    let masks: Vec<IpAddr> =
        addresses.iter().filter(|known| known.owner.kind == Kind::Node).map(|known| known.ip).collect();
    if masks.is_empty() || masks.len() < addresses.len() {
        return Vec::new();
    }
    // Not the nodes' own tables, where the real clients stand, but those of the servers.
    let observers = view.nodes.iter().filter(|node| node.counted).map(|node| node.node.clone()).collect();
    let request = SampleRequest { nodes: observers, src: masks.clone(), limit: FOLLOWED, ..SampleRequest::default() };
    match feed.handle.sample(request).await {
        Ok(samples) => {
            notes.extend(samples.missed.iter().map(ToString::to_string));
            let connections = samples.tables.iter().flat_map(|sample| &sample.connections);
            let seen = connections.filter(|c| masks.contains(&c.src));
            let mut seen: Vec<_> = seen.map(|c| SocketAddr::new(c.src, c.src_port)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen.truncate(FOLLOWED);
            seen
        }
        Err(error) => {
            notes.push(format!("its connections could not be read: {error}"));
            Vec::new()
        }
    }
}

/// The node that an address belongs to; empty, which means every node, when nobody knows.
fn homes(view: &View, ip: IpAddr) -> Vec<String> {
    let home = view.endpoints.iter().find(|endpoint| endpoint.ip == Some(ip) && !endpoint.owner.node.is_empty());
    let known = home.map(|endpoint| endpoint.owner.node.to_string());
    known.into_iter().filter(|home| view.nodes.iter().any(|node| node.node == *home)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebody_else_behind_the_very_socket_counts() {
        let connection = |src: &str, reply_dst: &str| -> Connection {
            serde_json::from_value(serde_json::json!({"protocol": "tcp", "state": "ESTABLISHED", "src": src,
                "src_port": 50_000, "dst": "192.168.0.1", "dst_port": 30_080, "reply_src": "10.1.1.9",
                "reply_src_port": 8080, "reply_dst": reply_dst, "reply_dst_port": 40_001, "timeout_seconds": 1,
                "idle_seconds": 0}))
            .unwrap()
        };
        let seen = "10.0.0.1:40001".parse().unwrap();
        assert!(is_masqueraded(&connection("203.0.113.7", "10.0.0.1"), seen));
        assert!(!is_masqueraded(&connection("203.0.113.7", "10.0.0.2"), seen));
        assert!(!is_masqueraded(&connection("10.0.0.1", "10.0.0.1"), seen));
    }
}
