//! One node's snapshot in the form that stays in memory: fixed-size rows, states in one list, endpoints shared.

pub mod frame;
pub mod rows;

use std::sync::Arc;

use khan_api::Snapshot;
use khan_api::snapshot::{Endpoint as Wire, IdleHistogram, Rest, Side};
use khan_api::{Kind, Protocol};

use super::endpoint::{Endpoint, Pool};
use super::state::State;
use rows::{Heard, Rows};

/// Connections with the same client, service address, backend, ports and protocol; as
/// [`khan_api::snapshot::Row`]. Endpoint numbers are local to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client.
    pub src: u32,
    /// What it dialled.
    pub dst: u32,
    /// Who answers.
    pub backend: u32,
    /// Port dialled; 0 when not told.
    pub port: u16,
    /// Port that answers; 0 when not told.
    pub backend_port: u16,
    /// Transport; `None` when not told.
    pub protocol: Option<Protocol>,
    /// Which node counts these connections.
    pub side: Side,
    /// Connections.
    pub connections: u32,
    /// Established without a packet for the agent's threshold.
    pub idle_connections: u32,
    /// Half-closed, the client has yet to close.
    pub client_unclosed: u32,
    /// Half-closed, the server has yet to close.
    pub server_unclosed: u32,
    /// Established connections by idle time.
    pub idle: IdleHistogram,
    states: u32,
    state_count: u8,
}

/// The rows of one node's snapshot.
#[derive(Debug, Default)]
pub struct NodeTable {
    /// [`Snapshot::id`].
    pub snapshot: String,
    /// The addresses that rows speak of.
    pub endpoints: Vec<Arc<Endpoint>>,
    rows: Rows,
    /// What the agent's row bound left out.
    pub rest: Option<Rest>,
}

impl NodeTable {
    /// Takes the rows of `snapshot`. Rows that point outside its endpoints are left out; their number is returned too.
    pub fn new(snapshot: &Snapshot, pool: &mut Pool) -> (Self, u64) {
        let rows = snapshot.rows.iter().collect();
        Self::build(&snapshot.id, &snapshot.endpoints, rows, snapshot.rest, pool)
    }

    /// The same of a snapshot that an agent sent.
    pub fn heard(snapshot: Heard, pool: &mut Pool) -> (Self, u64) {
        Self::build(&snapshot.id, &snapshot.endpoints.0, snapshot.rows, snapshot.rest, pool)
    }

    fn build(id: &str, endpoints: &[Wire], mut rows: Rows, rest: Option<Rest>, pool: &mut Pool) -> (Self, u64) {
        let endpoints: Vec<_> = endpoints.iter().map(|wire| pool.endpoint(wire)).collect();
        let refused = rows.within(endpoints.len());
        (Self { snapshot: id.to_owned(), endpoints, rows, rest }, refused)
    }

    /// A table of a source that knows less than an agent: rows with counts and perhaps a state, port and protocol.
    pub fn from_counts(
        snapshot: String,
        endpoints: Vec<Arc<Endpoint>>,
        counts: impl IntoIterator<Item = Count>,
    ) -> Self {
        let mut rows = Rows::default();
        counts.into_iter().for_each(|count| rows.count(count));
        Self { snapshot, endpoints, rows, rest: None }
    }

    /// Every row, counted on this node or not.
    pub fn rows(&self) -> &[Row] {
        &self.rows.rows
    }

    /// Connections of `row` by state; together all of them.
    pub fn states(&self, row: &Row) -> &[(State, u32)] {
        self.rows.states(row)
    }

    /// Bytes that it takes, and as many more as its addresses take that no other table has.
    pub fn bytes(&self) -> usize {
        let text = |endpoint: &Endpoint| {
            let texts = [&endpoint.ns, &endpoint.app, &endpoint.workload, &endpoint.name, &endpoint.node];
            texts.map(|text| text.len()).iter().sum::<usize>()
        };
        let alone = self.endpoints.iter().filter(|endpoint| Arc::strong_count(endpoint) <= 2);
        let own: usize = alone.map(|endpoint| size_of::<Endpoint>() + text(endpoint)).sum();
        self.rows.bytes() + size_of_val(&*self.endpoints) + own
    }

    /// Whether the endpoint names the sum of many addresses.
    pub fn is_sum(endpoint: &Endpoint) -> bool {
        endpoint.ip.is_none() && endpoint.kind == Kind::Unknown
    }
}

/// One row of a source that knows counts only.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Number of the client's endpoint.
    pub src: u32,
    /// Number of the destination's endpoint.
    pub dst: u32,
    /// Port dialled; 0 when not told.
    pub port: u16,
    /// Transport, when told.
    pub protocol: Option<Protocol>,
    /// State, or [`State::Untold`].
    pub state: State,
    /// Which node counts these connections.
    pub side: Side,
    /// Connections.
    pub connections: u64,
    /// Established without a packet for the agent's threshold.
    pub idle_connections: u64,
}
