//! This host's sockets: what it has where the kernel tracks no connections, with the process of each. Linux only; needs no
//! privilege, though only root sees the processes of others. Other hosts' traffic that passes through is in no socket.

mod diag;
mod processes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use khan_api::snapshot::{Endpoint, IdleHistogram, Row, SCHEMA, Side, Snapshot};
use khan_api::{Connection, ConnectionSample, Kind, Owner, Protocol, Sentence, State, TcpState, Timestamp};

use diag::{CLOSE, LISTEN, Socket};
use processes::{Process, Processes};

/// Reads this network namespace's sockets when asked.
#[derive(Debug)]
pub(crate) struct Sockets {
    host: String,
    started: Timestamp,
    number: u64,
}

/// A connection, seen from its client.
struct Seen {
    protocol: Protocol,
    state: u8,
    client: SocketAddr,
    server: SocketAddr,
    /// Whose file the socket is, and whether the client's or the server's.
    inode: u32,
    is_client: bool,
    /// The socket at the other end, where that is of this host too.
    peer: Option<u32>,
}

impl Sockets {
    /// `host` is what snapshots call this host.
    pub(crate) fn new(host: &str) -> Self {
        Self { host: host.to_owned(), started: Timestamp::now(), number: 0 }
    }

    /// Reads them once.
    pub(crate) fn scan(&mut self) -> io::Result<Snapshot> {
        let (taken, begun) = (Timestamp::now(), std::time::Instant::now());
        let connections = connections(&diag::sockets()?);
        let processes = processes(&connections);
        self.number += 1;
        let mut snapshot = Snapshot {
            schema: SCHEMA,
            id: format!("{}-{}", self.started.millis(), self.number).into(),
            node: self.host.as_str().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: self.started,
            taken,
            connections: connections.len() as u64,
            ..Snapshot::default()
        };
        Rows { host: &self.host, processes: &processes, snapshot: &mut snapshot, ends: HashMap::new() }
            .fill(&connections);
        snapshot.scan_millis = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        if processes.closed > 0 {
            let unnamed =
                connections.iter().filter(|seen| seen.inode > 0 && !processes.of.contains_key(&seen.inode)).count();
            snapshot.warnings.push(Sentence::of(format_args!(
                "{unnamed} sockets are of processes unknown: {} processes may be looked into by root only",
                processes.closed
            )));
        }
        Ok(snapshot)
    }
}

/// The connections among the sockets, those between two sockets of this host once.
fn connections(sockets: &[Socket]) -> Vec<Seen> {
    let tcp = |socket: &&Socket| socket.protocol == Protocol::Tcp;
    let listening: HashSet<_> =
        sockets.iter().filter(tcp).filter(|socket| socket.state == LISTEN).map(|socket| socket.local.port()).collect();
    let connected = || {
        let idle = |socket: &&Socket| match socket.protocol {
            Protocol::Tcp => matches!(socket.state, LISTEN | CLOSE),
            _ => false,
        };
        sockets.iter().filter(move |socket| !idle(socket) && socket.remote.port() > 0)
    };
    let by_ends: HashMap<_, _> =
        connected().map(|socket| ((socket.protocol, socket.local, socket.remote), socket.inode)).collect();
    let seen = |socket: &Socket| {
        let is_server = socket.protocol == Protocol::Tcp && listening.contains(&socket.local.port());
        let peer = by_ends.get(&(socket.protocol, socket.remote, socket.local)).copied();
        // Of two sockets that are each other's peer, the client's stands for both.
        let twice = peer.is_some()
            && if listening.contains(&socket.remote.port()) {
                false
            } else {
                is_server || socket.local > socket.remote
            };
        let ends = (socket.local, socket.remote);
        let (client, server) = if is_server { (ends.1, ends.0) } else { ends };
        let (protocol, state, inode) = (socket.protocol, socket.state, socket.inode);
        (!twice).then_some(Seen { protocol, state, client, server, inode, is_client: !is_server, peer })
    };
    connected().filter_map(seen).collect()
}

fn processes(connections: &[Seen]) -> Processes {
    let inodes = connections.iter().flat_map(|seen| [Some(seen.inode), seen.peer]).flatten();
    processes::find(Path::new("/proc"), &inodes.filter(|inode| *inode > 0).collect())
}

/// The state that a connection tracking table would call it by, as `ss` names it.
fn state(protocol: Protocol, state: u8) -> State {
    if protocol != Protocol::Tcp {
        return State::Assured;
    }
    State::Tcp(match state {
        1 => TcpState::Established,
        2 => TcpState::SynSent,
        3 | 12 => TcpState::SynRecv,
        4 | 5 => TcpState::FinWait,
        6 => TcpState::TimeWait,
        8 => TcpState::CloseWait,
        9 | 11 => TcpState::LastAck,
        CLOSE => TcpState::Close,
        _ => TcpState::None,
    })
}

struct Rows<'a> {
    host: &'a str,
    processes: &'a Processes,
    snapshot: &'a mut Snapshot,
    /// Numbers of the endpoints.
    ends: HashMap<(IpAddr, Option<Process>, bool), u32>,
}

impl Rows<'_> {
    fn fill(mut self, connections: &[Seen]) {
        let mut index: HashMap<(u32, u32, u16, Protocol), usize> = HashMap::new();
        for seen in connections {
            let (own, other) = (Some(seen.inode), seen.peer);
            let (client, server) = if seen.is_client { (own, other) } else { (other, own) };
            let (src, dst) = (self.end(seen.client.ip(), client), self.end(seen.server.ip(), server));
            let port = seen.server.port();
            let at = *index.entry((src, dst, port, seen.protocol)).or_insert_with(|| {
                self.snapshot.rows.push(row(src, dst, port, seen.protocol));
                self.snapshot.rows.len() - 1
            });
            let row = &mut self.snapshot.rows[at];
            row.connections += 1;
            *row.states.entry(state(seen.protocol, seen.state)).or_default() += 1;
            // CLOSE_WAIT: the other side has closed; FIN_WAIT2: this side has, and the other has acknowledged.
            let here = match (seen.protocol, seen.state) {
                (Protocol::Tcp, 8) => true,
                (Protocol::Tcp, 5) => false,
                _ => continue,
            };
            *if here == seen.is_client { &mut row.client_unclosed } else { &mut row.server_unclosed } += 1;
        }
    }

    /// The number of an end; `inode` where it is of this host.
    fn end(&mut self, ip: IpAddr, inode: Option<u32>) -> u32 {
        let process = inode.and_then(|inode| self.processes.of.get(&inode)).cloned();
        *self.ends.entry((ip, process.clone(), inode.is_some())).or_insert_with(|| {
            let owner = match (inode, process) {
                (None, _) => Owner { kind: Kind::External, ..Owner::default() },
                (Some(_), None) => {
                    Owner { kind: Kind::Node, name: self.host.into(), node: self.host.into(), ..Owner::default() }
                }
                (Some(_), Some(process)) => Owner {
                    kind: Kind::Node,
                    app: process.name.as_str().into(),
                    name: format!("{}[{}]", process.name, process.pid).into(),
                    node: self.host.into(),
                    ..Owner::default()
                },
            };
            self.snapshot.endpoints.push(Endpoint { ip: Some(ip), owner, ..Endpoint::default() });
            u32::try_from(self.snapshot.endpoints.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

fn row(src: u32, dst: u32, port: u16, protocol: Protocol) -> Row {
    Row {
        src,
        dst,
        backend: dst,
        port,
        backend_port: port,
        protocol,
        side: Side::Client,
        connections: 0,
        states: BTreeMap::new(),
        idle: IdleHistogram::default(),
        idle_connections: 0,
        client_unclosed: 0,
        server_unclosed: 0,
        stalled: 0,
        unanswered: 0,
        ended: 0,
    }
}

/// Single connections that pass, at most `limit`.
pub(crate) fn sample(host: &str, limit: usize, passes: impl Fn(&Connection) -> bool) -> io::Result<ConnectionSample> {
    let taken = Timestamp::now();
    let connection = |seen: &Seen| Connection {
        protocol: seen.protocol,
        state: state(seen.protocol, seen.state),
        src: seen.client.ip(),
        src_port: seen.client.port(),
        dst: seen.server.ip(),
        dst_port: seen.server.port(),
        reply_src: seen.server.ip(),
        reply_src_port: seen.server.port(),
        reply_dst: seen.client.ip(),
        reply_dst_port: seen.client.port(),
        zone: 0,
        timeout_seconds: None,
        idle_seconds: None,
        age_seconds: None,
        bytes_sent: None,
        bytes_received: None,
        previous: Vec::new(),
    };
    let all: Vec<_> = connections(&diag::sockets()?).iter().map(connection).filter(|one| passes(one)).collect();
    let matched = all.len() as u64;
    Ok(ConnectionSample { node: host.into(), taken, matched, connections: all.into_iter().take(limit).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(state: u8, local: &str, remote: &str, inode: u32) -> Socket {
        Socket { protocol: Protocol::Tcp, state, local: local.parse().unwrap(), remote: remote.parse().unwrap(), inode }
    }

    #[test]
    fn a_connection_within_this_host_is_one_and_its_client_is_known() {
        let sockets = [
            socket(LISTEN, "0.0.0.0:80", "0.0.0.0:0", 1),
            socket(1, "127.0.0.1:40000", "127.0.0.1:80", 2),
            socket(1, "127.0.0.1:80", "127.0.0.1:40000", 3),
            socket(8, "10.0.0.1:80", "203.0.113.9:5000", 4),
            socket(6, "10.0.0.1:50000", "203.0.113.9:443", 0),
        ];
        let seen: Vec<_> = connections(&sockets)
            .iter()
            .map(|seen| (seen.client.to_string(), seen.server.to_string(), seen.inode, seen.peer))
            .collect();
        let expected = [
            ("127.0.0.1:40000", "127.0.0.1:80", 2, Some(3)),
            ("203.0.113.9:5000", "10.0.0.1:80", 4, None),
            ("10.0.0.1:50000", "203.0.113.9:443", 0, None),
        ];
        assert_eq!(seen, expected.map(|(client, server, inode, peer)| (client.into(), server.into(), inode, peer)));
    }

    #[test]
    fn rows_name_processes_and_say_who_has_yet_to_close() {
        let (server, client) = (Process { pid: 7, name: "nginx".into() }, Process { pid: 9, name: "curl".into() });
        let processes = Processes { of: HashMap::from([(4, server), (6, client)]), closed: 0 };
        let connections = connections(&[
            socket(LISTEN, "10.0.0.1:80", "0.0.0.0:0", 1),
            socket(8, "10.0.0.1:80", "203.0.113.9:5000", 4),
            socket(5, "10.0.0.1:50000", "203.0.113.9:443", 6),
            socket(1, "10.0.0.1:50001", "203.0.113.9:443", 6),
        ]);
        let mut snapshot = Snapshot::default();
        Rows { host: "laptop", processes: &processes, snapshot: &mut snapshot, ends: HashMap::new() }
            .fill(&connections);
        let name = |at: u32| snapshot.endpoints[at as usize].owner.name.to_string();
        let rows: Vec<_> = snapshot
            .rows
            .iter()
            .map(|row| (name(row.src), name(row.dst), row.connections, row.client_unclosed, row.server_unclosed))
            .collect();
        assert_eq!(rows, [(String::new(), "nginx[7]".into(), 1, 0, 1), ("curl[9]".into(), String::new(), 2, 0, 1)]);
    }
}
