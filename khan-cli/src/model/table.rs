//! One node's snapshot in the form that stays in memory: fixed-size rows, states in one list, endpoints shared.

pub mod frame;

use std::sync::Arc;

use khan_api::Snapshot;
use khan_api::snapshot::{IdleHistogram, Rest, Row as WireRow, Side};
use khan_api::{Kind, Protocol};

use super::endpoint::{Endpoint, Pool};
use super::state::State;

/// Connections with the same client, service address, backend, ports and protocol; as
/// [`khan_api::snapshot::Row`]. Endpoint numbers are local to the table.
#[derive(Clone, Copy, Debug)]
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
    rows: Vec<Row>,
    states: Vec<(State, u32)>,
    /// What the agent's row bound left out.
    pub rest: Option<Rest>,
}

impl NodeTable {
    /// Takes the rows of `snapshot`. Rows that point outside its endpoints are left out; their number is returned too.
    pub fn new(snapshot: &Snapshot, pool: &mut Pool) -> (Self, u64) {
        let endpoints: Vec<_> = snapshot.endpoints.iter().map(|wire| pool.endpoint(wire)).collect();
        let mut table = Self {
            snapshot: (&snapshot.id).into(),
            endpoints,
            rows: Vec::with_capacity(snapshot.rows.len()),
            states: Vec::with_capacity(snapshot.rows.len()),
            rest: snapshot.rest,
        };
        let mut refused = 0;
        for wire in &snapshot.rows {
            let furthest = wire.src.max(wire.dst).max(wire.backend) as usize;
            if furthest < table.endpoints.len() { table.push(wire) } else { refused += 1 }
        }
        table.states.shrink_to_fit();
        (table, refused)
    }

    /// A table of a source that knows less than an agent: rows with counts and perhaps a state, port and protocol.
    pub fn from_counts(
        snapshot: String,
        endpoints: Vec<Arc<Endpoint>>,
        counts: impl IntoIterator<Item = Count>,
    ) -> Self {
        let mut table = Self { snapshot, endpoints, ..Self::default() };
        for count in counts {
            let states = u32::try_from(table.states.len()).unwrap_or(u32::MAX);
            table.states.push((count.state, narrow(count.connections)));
            table.rows.push(Row {
                src: count.src,
                dst: count.dst,
                backend: count.dst,
                port: count.port,
                backend_port: 0,
                protocol: count.protocol,
                side: count.side,
                connections: narrow(count.connections),
                idle_connections: narrow(count.idle_connections),
                client_unclosed: 0,
                server_unclosed: 0,
                idle: IdleHistogram::default(),
                states,
                state_count: 1,
            });
        }
        table
    }

    fn push(&mut self, wire: &WireRow) {
        let start = self.states.len();
        let mut told = 0;
        for (name, n) in wire.states.iter().take(usize::from(u8::MAX) - 1) {
            self.states.push((State::from_name(name), narrow(*n)));
            told += *n;
        }
        if told < wire.connections {
            self.states.push((State::Untold, narrow(wire.connections - told)));
        }
        self.rows.push(Row {
            src: wire.src,
            dst: wire.dst,
            backend: wire.backend,
            port: wire.port,
            backend_port: wire.backend_port,
            protocol: Some(wire.protocol),
            side: wire.side,
            connections: narrow(wire.connections),
            idle_connections: narrow(wire.idle_connections),
            client_unclosed: narrow(wire.client_unclosed),
            server_unclosed: narrow(wire.server_unclosed),
            idle: wire.idle,
            states: u32::try_from(start).unwrap_or(u32::MAX),
            state_count: u8::try_from(self.states.len() - start).unwrap_or(u8::MAX),
        });
    }

    /// Every row, counted on this node or not.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Connections of `row` by state; together all of them.
    pub fn states(&self, row: &Row) -> &[(State, u32)] {
        let start = row.states as usize;
        self.states.get(start..start + usize::from(row.state_count)).unwrap_or_default()
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

// The kernel's own limit on entries is an unsigned int.
fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
