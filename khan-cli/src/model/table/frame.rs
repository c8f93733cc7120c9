//! A table as a recording holds it: everything that the rows say, and nothing of how they lie in memory.

use std::sync::Arc;

use khan_api::bounded::list;
use khan_api::node_port::MAX_NODE_PORTS;
use khan_api::snapshot::{Endpoint as Wire, IdleHistogram, Limit, MAX_LIMITS, Rest, Side, Snat};
use khan_api::{Name, Protocol, ServicePort, State};
use serde::{Deserialize, Serialize};

use super::detail::Details;
use super::rows::{Rows, Span};
use super::{Beside, NodeTable, Row};
use crate::model::endpoint::{Endpoint, Pool};
use crate::model::state::{counted, name};

/// A [`NodeTable`] on file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableFrame {
    /// The snapshot's id.
    pub id: Name,
    /// Addresses.
    #[serde(deserialize_with = "list::<_, _, 200_000>")]
    pub endpoints: Vec<Wire>,
    /// Rows.
    #[serde(deserialize_with = "list::<_, _, 1_000_000>")]
    pub rows: Vec<RowFrame>,
    /// What the agent left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// Services behind ports of nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_NODE_PORTS>")]
    pub node_ports: Vec<ServicePort>,
    /// What endpoints can take.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limits")]
    pub limits: Option<Vec<Limit>>,
    /// Ports that translated connections take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snat: Option<Snat>,
}

fn limits<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Limit>>, D::Error> {
    list::<_, _, MAX_LIMITS>(deserializer).map(Some)
}

/// A [`Row`] on file; short names, because there are many.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowFrame {
    src: u32,
    dst: u32,
    backend: u32,
    port: u16,
    backend_port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<Protocol>,
    side: Side,
    connections: u32,
    #[serde(deserialize_with = "list::<_, _, 32>")]
    states: Vec<(State, u32)>,
    #[serde(default, skip_serializing_if = "IdleHistogram::is_empty")]
    idle: IdleHistogram,
    #[serde(default)]
    idle_connections: u32,
    #[serde(default)]
    client_unclosed: u32,
    #[serde(default)]
    server_unclosed: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    stalled: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    unanswered: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    ended: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl From<&NodeTable> for TableFrame {
    fn from(table: &NodeTable) -> Self {
        let row = |row: &Row, details: Details| RowFrame {
            src: row.src,
            dst: row.dst,
            backend: row.backend,
            port: row.port,
            backend_port: row.backend_port,
            protocol: row.protocol,
            side: row.side,
            connections: row.connections,
            states: table.states(row).iter().map(|(state, n)| (name(*state).into(), *n)).collect(),
            idle: details.histogram,
            idle_connections: details.idle,
            client_unclosed: details.client_unclosed,
            server_unclosed: details.server_unclosed,
            stalled: details.stalled,
            unanswered: details.unanswered,
            ended: details.ended,
        };
        let whole = |of: &Row| row(of, table.details(of).iter().collect());
        Self {
            id: table.snapshot.as_str().into(),
            endpoints: table.endpoints.iter().map(wire).collect(),
            rows: table.rows().iter().map(whole).collect(),
            rest: table.rest,
            node_ports: table.node_ports.clone(),
            limits: table.limits.clone(),
            snat: table.snat.clone(),
        }
    }
}

fn wire(endpoint: &Arc<Endpoint>) -> Wire {
    let Endpoint { ip, previous, dead, .. } = **endpoint;
    Wire { ip, owner: endpoint.owner.as_deref().into(), previous, dead }
}

impl TableFrame {
    /// The table again. Rows that point outside the endpoints are left out; their number is returned too.
    pub fn restore(&self, pool: &mut Pool) -> (NodeTable, u64) {
        let mut rows = Rows::with_capacity(self.rows.len());
        for frame in &self.rows {
            let row = Row {
                src: frame.src,
                dst: frame.dst,
                backend: frame.backend,
                port: frame.port,
                backend_port: frame.backend_port,
                protocol: frame.protocol,
                side: frame.side,
                connections: frame.connections,
                states: Span::default(),
                details: Span::default(),
            };
            let details = Details {
                histogram: frame.idle,
                idle: frame.idle_connections,
                client_unclosed: frame.client_unclosed,
                server_unclosed: frame.server_unclosed,
                stalled: frame.stalled,
                unanswered: frame.unanswered,
                ended: frame.ended,
            };
            rows.add(row, frame.states.iter().map(|(state, n)| (counted(state.clone()), *n)), details);
        }
        let beside = Beside {
            rest: self.rest,
            node_ports: self.node_ports.clone(),
            limits: self.limits.clone(),
            snat: self.snat.clone(),
        };
        NodeTable::build(&self.id, &self.endpoints, rows, beside, pool)
    }
}
