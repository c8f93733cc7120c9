//! One scan of one node's table, joined with identities: what `GET /v1/snapshot` answers.
//!
//! Rows point into `endpoints` by index, so that an address that talks to a thousand others is named once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::node_port::{MAX_NODE_PORTS, ServicePort};
use crate::owner::{self, Owner, read_flat};
use crate::resolve::Cursor;
use crate::state::{Protocol, State};
use crate::table_stats::{MAX_TABLES, TableStats};
use crate::text::{Label, Name, Sentence, ShownUrl};
use crate::time::Timestamp;

/// Version of this shape, raised when a reader of the older one would be misled.
pub const SCHEMA: u32 = 1;

/// A node's connections at one moment.
///
/// Readers hold both lists as vectors. An agent writes them one item after the other out of its own table, by any `E` and
/// `R` that serialise as these vectors do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot<E = Vec<Endpoint>, R = Vec<Row>> {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// Unique among all snapshots of all agents; also the `ETag`. Equal ids mean equal content.
    pub id: Name,
    /// Name of the node, as `--node-name` gave it.
    pub node: Name,
    /// The kernel's boot id: history does not continue across a change.
    pub boot_id: Label,
    /// Version of the agent.
    pub version: Label,
    /// When the agent's process started.
    pub started: Timestamp,
    /// When the dump began, by the node's clock.
    pub taken: Timestamp,
    /// When the dump of the snapshot before began, with which this one was compared to tell what [ended](Row::ended) and what
    /// is [stalled](Row::stalled). Absent in the first snapshot of an agent's process and from agents that compare nothing:
    /// then what rows do not say of ended, stalled and unanswered connections is unknown, and not zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Wall time that dump and fold took, in milliseconds.
    pub scan_millis: u64,
    /// The period that scans now keep, in milliseconds; longer than configured while scans cost too much.
    pub interval_millis: u64,
    /// Where the names come from and how old they are.
    pub names: Names,
    /// The kernel's table.
    pub table: Table,
    /// How full each table is that was read, the kernel's first. Absent from agents before 0.2, whose only table is the kernel's.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::first::<_, _, MAX_TABLES>")]
    pub tables: Vec<TableStats>,
    /// Connections in all rows, `rest` included: every TCP, UDP and SCTP entry, entries of one connection in several
    /// zones counted as one.
    pub connections: u64,
    /// The addresses that rows speak of.
    pub endpoints: E,
    /// Aggregates, most connections first.
    pub rows: R,
    /// The services behind the node ports of these rows: a row dialled at a node's address on one of these ports belongs to
    /// that service.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::list::<_, _, MAX_NODE_PORTS>")]
    pub node_ports: Vec<ServicePort>,
    /// Endpoints that can take no more than so many connections. Absent from agents that know of no limits.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limits")]
    pub limits: Option<Vec<Limit>>,
    /// Ports that connections with a translated source take. Absent from agents that do not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snat: Option<Snat>,
    /// What the row bound left out; absent when `rows` is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// What the agent could not see or do in this scan, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::list::<_, _, 100>")]
    pub warnings: Vec<Sentence>,
}

/// Most limits in a snapshot.
pub const MAX_LIMITS: usize = 10_000;

fn limits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Limit>>, D::Error> {
    bounded::first::<_, _, MAX_LIMITS>(deserializer).map(Some)
}

/// How many connections the owner of an endpoint can take. A pod's counts those that it answers; a service's those that
/// dial it; that of an address outside the cluster all connections to addresses of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Index of the endpoint.
    pub endpoint: u32,
    /// Its most connections.
    pub connections: NonZeroU32,
}

/// Ports that connections take of the source addresses that they leave the node with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snat {
    /// Ports that there are for each destination (`--snat-ports`).
    pub range: u32,
    /// The destinations for which the most are in use, most first.
    #[serde(deserialize_with = "bounded::first::<_, _, MAX_SNAT>")]
    pub largest: Vec<SnatPorts>,
}

/// Most destinations in a [`Snat`].
pub const MAX_SNAT: usize = 100;

/// The ports in use of one translated address towards one destination, those of ended connections that the table still holds
/// included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnatPorts {
    /// The address that the destination sees.
    pub src: IpAddr,
    /// Who answers.
    pub dst: IpAddr,
    /// Its port.
    pub port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Ports in use.
    pub used: u32,
}

/// Where the names of a snapshot come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// The controller's URL; empty when the agent works with bare addresses.
    pub controller: ShownUrl,
    /// The last answer that was applied.
    pub cursor: Option<Cursor>,
    /// When that answer came.
    pub updated: Option<Timestamp>,
    /// Addresses in this snapshot that are inside the cluster's ranges and have no known owner.
    pub unresolved: u64,
    /// Why the latest request failed; empty when it did not.
    pub error: Sentence,
}

/// The kernel's table as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Entries of every protocol (`nf_conntrack_count`).
    pub entries: u64,
    /// The most entries the kernel will hold (`nf_conntrack_max`).
    pub limit: u64,
    /// Hash buckets.
    pub buckets: u64,
    /// Entries in the dump by protocol name: `tcp`, `udp`, `sctp`, `icmp`, ..., or the number where it has no name.
    #[serde(deserialize_with = "bounded::map::<_, _, _, 300>")]
    pub protocols: BTreeMap<Label, u64>,
    /// The kernel's counters since boot, summed over CPUs: `insert_failed`, `drop`, `early_drop`, ...
    #[serde(deserialize_with = "bounded::map::<_, _, _, 300>")]
    pub stat: BTreeMap<Label, u64>,
    /// Entries that the dump held more than once and that were counted once.
    pub seen_twice: u64,
    /// Entries that could not be understood and were left out.
    pub refused: u64,
    /// Entries picked up in midstream that stood the wrong way round and were turned.
    pub turned: u64,
}

/// An address and who has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(bound = "L: Deref<Target = str>, N: Deref<Target = str>")]
pub struct Endpoint<L = Label, N = Name> {
    /// The address; absent for the sum of many (`__other__` in the exposition).
    pub ip: Option<IpAddr>,
    /// Who has it. On the wire its fields stand among these, empty ones left out.
    #[serde(flatten, serialize_with = "owner::sparse")]
    pub owner: Owner<L, N>,
    /// True when this is a previous owner of the address, whose connections outlived it.
    #[serde(rename = "gone", skip_serializing_if = "std::ops::Not::not")]
    pub previous: bool,
    /// Of a dead backend: when, at the latest, its pod went or the dialled service no longer listed it. The last packet of every
    /// connection in a row that names this endpoint is later; other rows of the address name it without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<Timestamp>,
}

read_flat!(Endpoint {
    ip: Option<IpAddr>,
    #[serde(rename = "gone", default)]
    previous: bool,
    #[serde(default)]
    dead: Option<Timestamp>,
});

impl From<Endpoint<&str, &str>> for Endpoint {
    fn from(Endpoint { ip, owner, previous, dead }: Endpoint<&str, &str>) -> Self {
        Self { ip, owner: owner.into(), previous, dead }
    }
}

/// On which node a connection is counted when each is to be counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Here: the client lives on this node or outside the cluster.
    Client,
    /// Not here: the client lives on another node of the cluster, whose own agent counts the same connection.
    Server,
    /// It cannot be told where the client lives, so another agent may count the same connection. Also what a newer,
    /// unheard-of side reads as.
    #[serde(other)]
    Unknown,
}

impl Side {
    /// Every side, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Client, Self::Server, Self::Unknown];

    /// The value of the label `side`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

/// Connections with the same client, service address, backend, ports and protocol. Counts of zero are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Index of the client's endpoint (`orig.src`).
    pub src: u32,
    /// Index of the endpoint that the client dialled (`orig.dst`).
    pub dst: u32,
    /// Index of the endpoint that answers (`reply.src`); equal to `dst` without destination NAT.
    pub backend: u32,
    /// Port that the client dialled.
    pub port: u16,
    /// Port that answers.
    pub backend_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Which node counts these connections.
    pub side: Side,
    /// Connections.
    pub connections: u64,
    /// Of those, how many are in each state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "bounded::map::<_, _, _, 32>")]
    pub states: BTreeMap<State, u64>,
    /// Established TCP connections by time since the last packet.
    #[serde(default, skip_serializing_if = "IdleHistogram::is_empty")]
    pub idle: IdleHistogram,
    /// Established TCP connections without a packet for the agent's `--idle-threshold`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub idle_connections: u64,
    /// Half-closed TCP connections that the client has yet to close (the server sent the first FIN).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_unclosed: u64,
    /// Half-closed TCP connections that the server has yet to close (the client sent the first FIN).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub server_unclosed: u64,
    /// Established TCP connections whose data nobody acknowledges: unacknowledged and quiet in this snapshot and in one before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stalled: u64,
    /// Connections that nobody has answered, more than three seconds after the latest try: TCP in `SYN_SENT`, and UDP where
    /// answers are usual.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unanswered: u64,
    /// TCP connections that entered `TIME_WAIT` since the [snapshot before](Snapshot::since), and are among these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ended: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Upper bounds of all but the last bucket of an [`IdleHistogram`], in seconds.
pub const IDLE_BOUNDS_SECONDS: [u32; 4] = [60, 600, 3600, 6 * 3600];

/// Connections by seconds since the last packet: below 1 minute, 10 minutes, 1 hour, 6 hours, and above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdleHistogram(pub [u32; 5]);

impl IdleHistogram {
    /// Whether no connection was measured.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|n| *n == 0)
    }

    /// The bucket of an idle time.
    pub fn bucket(idle_seconds: u32) -> usize {
        IDLE_BOUNDS_SECONDS.iter().position(|bound| idle_seconds < *bound).unwrap_or(IDLE_BOUNDS_SECONDS.len())
    }
}

/// The sum of the rows that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rest {
    /// How many rows.
    pub rows: u64,
    /// Their connections with `side` client.
    pub client: u64,
    /// Their connections with `side` server.
    pub server: u64,
    /// Their connections with `side` unknown.
    pub unknown: u64,
}

impl Rest {
    /// Adds a row that is left out.
    pub fn add(&mut self, side: Side, connections: u64) {
        self.rows += 1;
        *match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
            Side::Unknown => &mut self.unknown,
        } += connections;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TcpState;

    #[test]
    fn idle_buckets_end_where_they_say() {
        let buckets = [0, 59, 60, 599, 600, 3599, 3600, 21_599, 21_600, u32::MAX].map(IdleHistogram::bucket);
        assert_eq!(buckets, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn a_row_leaves_zeroes_out_and_reads_them_back() {
        let row = Row {
            src: 0,
            dst: 1,
            backend: 2,
            port: 80,
            backend_port: 8080,
            protocol: Protocol::Tcp,
            side: Side::Client,
            connections: 3,
            states: BTreeMap::from([(State::Tcp(TcpState::Established), 3)]),
            idle: IdleHistogram::default(),
            idle_connections: 0,
            client_unclosed: 0,
            server_unclosed: 0,
            stalled: 0,
            unanswered: 0,
            ended: 0,
        };
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(
            text,
            r#"{"src":0,"dst":1,"backend":2,"port":80,"backend_port":8080,"protocol":"tcp","side":"client","connections":3,"states":{"ESTABLISHED":3}}"#
        );
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }

    #[test]
    fn every_side_is_read_and_a_newer_one_is_unknown() {
        for side in Side::ALL {
            let text = serde_json::to_string(&side).unwrap();
            assert_eq!(text, format!("{:?}", side.as_str()));
            assert_eq!(serde_json::from_str::<Side>(&text).unwrap(), side);
        }
        assert_eq!(serde_json::from_str::<Side>(r#""sideways""#).unwrap(), Side::Unknown);
        let rest: Rest = serde_json::from_str(r#"{"rows":3,"client":5,"server":2}"#).unwrap();
        assert_eq!(rest, Rest { rows: 3, client: 5, server: 2, unknown: 0 });
    }

    #[test]
    fn an_endpoint_leaves_empty_texts_out_and_reads_them_back() {
        for (text, previous) in [
            (
                r#"{"ip":"10.0.0.1","type":"pod","ns":"shop","app":"web","workload":"web","name":"web-0","node":"n1"}"#,
                false,
            ),
            (r#"{"ip":"fd00::1","type":"unknown","node":"n1","gone":true}"#, true),
            (r#"{"ip":null,"type":"external"}"#, false),
            (r#"{"ip":"10.0.0.1","type":"pod","gone":true,"dead":"2026-11-22T10:00:00Z"}"#, true),
        ] {
            let endpoint: Endpoint = serde_json::from_str(text).unwrap();
            assert_eq!((serde_json::to_string(&endpoint).unwrap().as_str(), endpoint.previous), (text, previous));
            let borrowed =
                Endpoint { owner: endpoint.owner.as_deref(), ip: endpoint.ip, previous, dead: endpoint.dead };
            assert_eq!(
                (serde_json::to_string(&borrowed).unwrap().as_str(), Endpoint::from(borrowed)),
                (text, endpoint.clone())
            );
        }
    }

    #[test]
    fn a_snapshot_of_a_newer_agent_is_read() {
        let text = r#"{"schema":1,"id":"a-1","node":"n1","taken":"2026-11-22T10:00:00.125Z","shiny":true,"rows":[],
            "endpoints":[{"ip":"10.0.0.1","type":"pod","ns":"shop"},{"ip":null,"type":"unknown"}],
            "tables":[{"name":"cilium_ct\u001b4","entries":9,"limit":10,"scan_micros":250,"shiny":1}]}"#;
        let snapshot: Snapshot = serde_json::from_str(text).unwrap();
        let map = TableStats { name: "cilium_ct\u{fffd}4".into(), entries: 9, limit: 10, scan_micros: 250 };
        assert_eq!(snapshot.tables, [map]);
        let many = format!(r#"{{"tables":[{}{{}}]}}"#, "{},".repeat(MAX_TABLES));
        assert_eq!(serde_json::from_str::<Snapshot>(&many).unwrap().tables.len(), MAX_TABLES);
        assert_eq!(snapshot.taken.millis() % 1000, 125);
        assert_eq!(snapshot.endpoints[0].owner.ns, "shop");
        assert_eq!(snapshot.endpoints[1].ip, None);
    }
}
