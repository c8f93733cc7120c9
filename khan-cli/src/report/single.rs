//! Single connections.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use khan_api::{Connection, ConnectionSample};
use serde::Serialize;

use super::column::{Column, Head, cells, heads};
use super::item::json;
use super::scope::in_namespaces;
use super::{Cell, Line, Report};
use crate::duration;
use crate::feed::{Missed, Samples};
use crate::model::{Endpoint, Grain, GroupEnd, Pool, View};

/// Who has the addresses of a view.
pub(crate) type Owners<'a> = HashMap<IpAddr, &'a Arc<Endpoint>>;

/// Owners by address; of several, the one that has it now.
pub(crate) fn owners(view: &View) -> Owners<'_> {
    let mut owners = HashMap::new();
    for endpoint in &view.endpoints {
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

fn socket(ip: IpAddr, port: u16) -> Cell {
    Cell::text(SocketAddr::new(ip, port).to_string())
}

fn seconds(n: Option<u64>) -> Cell {
    match n {
        None => Cell::Missing,
        Some(0) => Cell::text("0s"),
        Some(n) => Cell::text(duration::text(Duration::from_secs(n))),
    }
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Row<'a>>; 14] {
    [
        Column::new(Head::text("protocol", "PROTO"), |row| Cell::text(row.c.protocol.as_str())),
        Column::new(Head::text("state", "STATE"), |row| Cell::text(row.c.state.as_str())),
        Column::new(Head::text("source", "SOURCE"), |row| socket(row.c.src, row.c.src_port)),
        Column::new(Head::text("destination", "DESTINATION"), |row| socket(row.c.dst, row.c.dst_port)),
        Column::new(Head::text("backend", "BACKEND"), |row| {
            let backend = (row.c.reply_src, row.c.reply_src_port);
            if backend == (row.c.dst, row.c.dst_port) { Cell::Missing } else { socket(backend.0, backend.1) }
        }),
        Column::new(Head::number("age", "AGE"), |row| seconds(row.c.age_seconds)),
        Column::new(Head::number("last-packet", "LAST-PACKET"), |row| seconds(row.c.idle_seconds.map(u64::from))),
        Column::new(Head::number("timeout", "TIMEOUT"), |row| seconds(row.c.timeout_seconds.map(u64::from))),
        Column::new(Head::number("sent", "SENT").wide(), |row| row.c.bytes_sent.map_or(Cell::Missing, Cell::Count)),
        Column::new(Head::number("received", "RECEIVED").wide(), |row| {
            row.c.bytes_received.map_or(Cell::Missing, Cell::Count)
        }),
        Column::new(Head::text("client", "CLIENT").wide(), |row| row.named(row.c.src)),
        Column::new(Head::text("server", "SERVER").wide(), |row| row.named(row.c.reply_src)),
        Column::new(Head::text("masquerade", "MASQUERADED-AS").wide(), |row| {
            let mask = (row.c.reply_dst, row.c.reply_dst_port);
            if mask == (row.c.src, row.c.src_port) { Cell::Missing } else { socket(mask.0, mask.1) }
        }),
        Column::new(Head::text("node", "NODE"), |row| Cell::text(row.node)),
    ]
}

/// The names of the columns.
pub(super) fn names() -> Vec<&'static str> {
    columns().iter().map(|column| column.head.name).collect()
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
struct Item<'a> {
    #[serde(flatten)]
    connection: &'a Connection,
    node: &'a str,
    client: String,
    #[serde(rename = "clientPrevious")]
    client_is_previous: bool,
    server: String,
    #[serde(rename = "serverPrevious")]
    server_is_previous: bool,
}

impl<'a> Item<'a> {
    fn of(row: &Row<'a>) -> Self {
        let (client, client_is_previous) = row.end(row.c.src);
        let (server, server_is_previous) = row.end(row.c.reply_src);
        Self { connection: row.c, node: row.node, client, client_is_previous, server, server_is_previous }
    }
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    source: &'static str,
    context: &'a str,
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
            context: &view.source.context,
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
