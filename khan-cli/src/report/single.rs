//! Single connections.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Connection, ConnectionSample, Kind, Protocol};
use serde::Serialize;

use super::column::{Column, Head, Unit, cells, heads};
use super::item::{Socket, json, known};
use super::scope::in_namespaces;
use super::{Cell, Line, Report};
use crate::feed::{Missed, Samples};
use crate::model::{Endpoint, Grain, GroupEnd, Pool, View};

/// Who has the addresses of a view.
pub(crate) type Owners<'a> = HashMap<IpAddr, &'a Arc<Endpoint>>;

/// Owners by address; of several, the one that has it now. Processes of this host share its addresses, so that an address
/// alone names none of them.
pub(crate) fn owners(view: &View) -> Owners<'_> {
    let mut owners = HashMap::new();
    let process = |endpoint: &Endpoint| endpoint.owner.kind == Kind::Node && !endpoint.owner.app.is_empty();
    for endpoint in view.endpoints.iter().filter(|endpoint| !process(endpoint)) {
        if let Some(ip) = endpoint.ip {
            let owner = owners.entry(ip).or_insert(endpoint);
            if owner.previous {
                *owner = endpoint;
            }
        }
    }
    owners
}

/// A connection in the table of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single<'a> {
    /// The node.
    pub node: &'a str,
    /// What its table says.
    pub connection: &'a Connection,
}

/// One that is listed.
struct Row<'a> {
    node: &'a str,
    c: &'a Connection,
    owners: &'a Owners<'a>,
}

impl Row<'_> {
    /// What an end is called, and whether that is a previous owner of its address.
    fn end(&self, ip: IpAddr) -> (String, bool) {
        let name = |endpoint: &Endpoint| GroupEnd::of(endpoint, Grain::Name).1.text.to_string();
        match self.c.previous.iter().find(|endpoint| endpoint.ip == Some(ip)) {
            Some(owner) => (name(&Pool::default().endpoint(owner)), true),
            None => (self.owners.get(&ip).map_or_else(|| ip.to_string(), |endpoint| name(endpoint)), false),
        }
    }

    fn named(&self, ip: IpAddr) -> Cell {
        match self.end(ip) {
            (name, true) => Cell::text(format!("{name} (previous)")),
            (name, false) => Cell::text(name),
        }
    }
}

fn socket(address: SocketAddr) -> Cell {
    Cell::text(address.to_string())
}

/// What the client dialled.
fn dialled(c: &Connection) -> SocketAddr {
    SocketAddr::new(c.dst, c.dst_port)
}

/// Who answers, if that is not what was dialled.
fn backend(c: &Connection) -> Option<SocketAddr> {
    Some(SocketAddr::new(c.reply_src, c.reply_src_port)).filter(|backend| *backend != dialled(c))
}

/// What the client is to the server, if that is not the client itself.
fn masquerade(c: &Connection) -> Option<SocketAddr> {
    let mask = SocketAddr::new(c.reply_dst, c.reply_dst_port);
    Some(mask).filter(|mask| *mask != SocketAddr::new(c.src, c.src_port))
}

fn seconds(n: Option<u64>) -> Cell {
    n.map_or(Cell::Missing, |n| Cell::Duration(Duration::from_secs(n)))
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Row<'a>>; 14] {
    [
        Column::new(Head::text("protocol"), |row| Cell::text(row.c.protocol.as_str())),
        Column::new(Head::text("state"), |row| Cell::text(row.c.state.as_str())),
        Column::new(Head::text("source"), |row| socket(SocketAddr::new(row.c.src, row.c.src_port))),
        Column::new(Head::text("destination"), |row| socket(dialled(row.c))),
        Column::new(Head::text("backend"), |row| backend(row.c).map_or(Cell::Missing, socket)),
        Column::new(Head::measured("age", Unit::Seconds), |row| seconds(row.c.age_seconds)),
        Column::new(Head::measured("last-packet", Unit::Seconds), |row| seconds(row.c.idle_seconds.map(u64::from))),
        Column::new(Head::measured("timeout", Unit::Seconds), |row| seconds(row.c.timeout_seconds.map(u64::from))),
        Column::new(Head::measured("sent", Unit::Bytes).wide(), |row| {
            row.c.bytes_sent.map_or(Cell::Missing, Cell::Count)
        }),
        Column::new(Head::measured("received", Unit::Bytes).wide(), |row| {
            row.c.bytes_received.map_or(Cell::Missing, Cell::Count)
        }),
        Column::new(Head::text("client").wide(), |row| row.named(row.c.src)),
        Column::new(Head::text("server").wide(), |row| row.named(row.c.reply_src)),
        Column::new(Head::text("masquerade").wide(), |row| masquerade(row.c).map_or(Cell::Missing, socket)),
        Column::new(Head::text("node"), |row| Cell::text(row.node)),
    ]
}

/// How the columns are called.
pub(super) fn heads_of() -> Vec<Head> {
    heads(&columns())
}

/// What is listed, and where it was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    /// The connections, in order.
    pub listed: &'a [Single<'a>],
    /// There are more of them.
    pub truncated: bool,
    /// What the nodes answered.
    pub samples: &'a Samples,
    /// `-n`.
    pub namespaces: &'a [String],
    /// What is missing, one sentence each.
    pub missing: &'a [String],
}

/// The report of single connections, with the names that `view` knows.
pub(crate) fn report(view: &View, listing: &Listing<'_>) -> Report {
    let (columns, owners) = (columns(), owners(view));
    let rows = listing.listed.iter().map(|single| {
        let row = Row { node: single.node, c: single.connection, owners: &owners };
        let c = single.connection;
        let (from, to) = (SocketAddr::new(c.src, c.src_port), SocketAddr::new(c.dst, c.dst_port));
        Line { cells: cells(&columns, &row), item: json(Item::of(&row)), name: format!("{}:{from}->{to}", c.protocol) }
    });
    let rows = rows.collect();
    Report {
        kind: "RawConnectionList",
        metadata: json(Metadata::of(view, listing)),
        columns: heads(&columns),
        rows,
        empty: format!("No connections found{}.", in_namespaces(listing.namespaces)),
    }
}

/// A connection for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    protocol: Protocol,
    state: &'a khan_api::State,
    source: Socket,
    destination: Socket,
    backend: Option<Socket>,
    masquerade: Option<Socket>,
    zone: u16,
    age_seconds: Option<u64>,
    last_packet_seconds: Option<u32>,
    timeout_seconds: Option<u32>,
    sent_bytes: Option<u64>,
    received_bytes: Option<u64>,
    node: &'a str,
    client: String,
    client_previous: bool,
    server: String,
    server_previous: bool,
}

impl<'a> Item<'a> {
    fn of(row: &Row<'a>) -> Self {
        let c = row.c;
        let (client, client_previous) = row.end(c.src);
        let (server, server_previous) = row.end(c.reply_src);
        Self {
            protocol: c.protocol,
            state: &c.state,
            source: SocketAddr::new(c.src, c.src_port).into(),
            destination: dialled(c).into(),
            backend: backend(c).map(Socket::from),
            masquerade: masquerade(c).map(Socket::from),
            zone: c.zone,
            age_seconds: c.age_seconds,
            last_packet_seconds: c.idle_seconds,
            timeout_seconds: c.timeout_seconds,
            sent_bytes: c.bytes_sent,
            received_bytes: c.bytes_received,
            node: row.node,
            client,
            client_previous,
            server,
            server_previous,
        }
    }
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    source: &'static str,
    context: Option<&'a str>,
    scope: &'a [String],
    listed: usize,
    truncated: bool,
    nodes: Vec<Table<'a>>,
    failed: Vec<Failed<'a>>,
    partial: bool,
    missing: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Table<'a> {
    node: &'a str,
    snapshot_time: khan_api::Timestamp,
    matched: u64,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    node: &'a str,
    reason: &'a str,
}

impl<'a> Metadata<'a> {
    fn of(view: &'a View, listing: &Listing<'a>) -> Self {
        let table = |sample: &'a ConnectionSample| Table {
            node: &sample.node,
            snapshot_time: sample.taken,
            matched: sample.matched,
        };
        let failed = |missed: &'a Missed| Failed { node: &missed.node, reason: &missed.reason };
        Self {
            source: view.source.kind.as_str(),
            context: known(&view.source.context),
            scope: listing.namespaces,
            listed: listing.listed.len(),
            truncated: listing.truncated,
            nodes: listing.samples.tables.iter().map(table).collect(),
            failed: listing.samples.missed.iter().map(failed).collect(),
            partial: !listing.missing.is_empty(),
            missing: listing.missing,
        }
    }
}
