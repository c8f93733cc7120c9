//! Parts of rows as programs read them: raw numbers, seconds, RFC 3339; what is not known is null, never an empty text.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use khan_api::{Kind, Owner, Protocol};
use serde::Serialize;
use serde_json::Value;

use super::idle;
use crate::model::{GroupEnd, Row, Sum, state};

/// `None` in place of an empty text.
pub(crate) fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// One end of a row.
#[derive(Debug, Serialize)]
pub(crate) struct End<'a> {
    text: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    namespace: Option<&'a str>,
    app: Option<&'a str>,
    name: Option<&'a str>,
    node: Option<&'a str>,
    ip: Option<IpAddr>,
    addresses: u32,
}

impl<'a> From<&'a GroupEnd> for End<'a> {
    fn from(end: &'a GroupEnd) -> Self {
        let Owner { kind, ns, app, name, node, .. } = end.owner.as_deref();
        Self {
            text: &end.text,
            kind,
            namespace: known(ns),
            app: known(app),
            name: known(name),
            node: known(node),
            ip: end.ip,
            addresses: end.addresses,
        }
    }
}

/// An address with a port.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Socket {
    ip: IpAddr,
    port: u16,
}

impl From<SocketAddr> for Socket {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }
}

/// Established connections whose last packet passed so long ago.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Idle {
    from_seconds: u32,
    to_seconds: Option<u32>,
    conns: u64,
}

/// What makes a row. What the table is not grouped by is null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dimensions<'a> {
    key: String,
    source: Option<End<'a>>,
    destination: Option<End<'a>>,
    backend: Option<End<'a>>,
    node: Option<&'a str>,
    port: Option<u16>,
    protocol: Option<Protocol>,
    state: Option<&'static str>,
}

impl<'a> From<&'a Row> for Dimensions<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            key: format!("{:032x}", row.key.0),
            source: row.src.as_ref().map(End::from),
            destination: row.dst.as_ref().map(End::from),
            backend: row.behind.as_ref().map(End::from),
            node: row.node.as_deref(),
            port: row.port,
            protocol: row.protocol,
            state: row.state.map(state::name),
        }
    }
}

/// Sums over the connections of a row.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    conns: u64,
    states: BTreeMap<&'static str, u64>,
    est_percent: Option<u8>,
    idle: u64,
    idle_histogram: Vec<Idle>,
    halfclosed: u64,
    client_unclosed: u64,
    server_unclosed: u64,
    opening: u64,
    /// These four are null where agents do not tell.
    closed_per_second: Option<f64>,
    stalled: Option<u64>,
    unanswered: Option<u64>,
    dead_backend: Option<u64>,
    previous: u64,
    stale: u64,
}

impl From<&Sum> for Counts {
    fn from(sum: &Sum) -> Self {
        let bucket = |((from_seconds, to_seconds), conns): (idle::Range, u64)| Idle { from_seconds, to_seconds, conns };
        Self {
            conns: sum.connections,
            states: sum.states.ranked().into_iter().collect(),
            est_percent: sum.states.established_percent(),
            idle: sum.idle_connections,
            idle_histogram: idle::ranges().zip(sum.idle).map(bucket).collect(),
            halfclosed: sum.half_closed(),
            client_unclosed: sum.client_unclosed,
            server_unclosed: sum.server_unclosed,
            opening: sum.states.opening(),
            closed_per_second: sum.closed_per_second(),
            stalled: sum.known(sum.stalled),
            unanswered: sum.known(sum.unanswered),
            dead_backend: sum.known(sum.dead),
            previous: sum.previous,
            stale: sum.stale,
        }
    }
}

/// The JSON of a row or of what is said about all rows. Neither has maps with keys that are not text, so it cannot fail.
pub(crate) fn json(part: impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}
