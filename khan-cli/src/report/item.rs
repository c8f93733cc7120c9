//! Parts of rows as programs read them: raw numbers, seconds, RFC 3339; what is not known is null.

use std::collections::BTreeMap;
use std::net::IpAddr;

use khan_api::{Kind, Owner};
use serde::Serialize;
use serde_json::Value;

use crate::model::{GroupEnd, Sum};

/// One end of a row.
#[derive(Debug, Serialize)]
pub(crate) struct End<'a> {
    text: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
    namespace: &'a str,
    app: &'a str,
    name: &'a str,
    node: &'a str,
    ip: Option<IpAddr>,
    addresses: u32,
}

impl<'a> From<&'a GroupEnd> for End<'a> {
    fn from(end: &'a GroupEnd) -> Self {
        let Owner { kind, ns, app, name, node, .. } = end.owner.as_deref();
        Self { text: &end.text, kind, namespace: ns, app, name, node, ip: end.ip, addresses: end.addresses }
    }
}

/// Sums over the connections of a row.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    connections: u64,
    states: BTreeMap<&'static str, u64>,
    established_percent: Option<u8>,
    idle_connections: u64,
    idle_histogram: [u64; 5],
    client_unclosed: u64,
    server_unclosed: u64,
    opening: u64,
    /// These three are null where agents do not tell.
    closed_per_second: Option<f64>,
    stalled: Option<u64>,
    unanswered: Option<u64>,
    ghosts: u64,
    stale: u64,
}

impl From<&Sum> for Counts {
    fn from(sum: &Sum) -> Self {
        Self {
            connections: sum.connections,
            states: sum.states.ranked().into_iter().collect(),
            established_percent: sum.states.established_percent(),
            idle_connections: sum.idle_connections,
            idle_histogram: sum.idle,
            client_unclosed: sum.client_unclosed,
            server_unclosed: sum.server_unclosed,
            opening: sum.states.opening(),
            closed_per_second: sum.closed_per_second(),
            stalled: sum.known(sum.stalled),
            unanswered: sum.known(sum.unanswered),
            ghosts: sum.ghosts,
            stale: sum.stale,
        }
    }
}

/// The JSON of a row or of what is said about all rows. Neither has maps with keys that are not text, so it cannot fail.
pub(crate) fn json(part: impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}
