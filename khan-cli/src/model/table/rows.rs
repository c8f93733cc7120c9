//! Rows in the form that stays in memory, made one by one while an answer is read.

use std::fmt;

use khan_api::Snapshot;
use khan_api::snapshot::{Endpoint as Wire, Row as WireRow};
use serde::de::{self, Deserialize, Deserializer};

use super::detail::{Detail, Details};
use super::{Count, Row};
use crate::model::endpoint::Endpoint;
use crate::model::state::{State, UNTOLD, counted};

/// A snapshot as it comes from an agent: what would be large is held small.
pub type Heard = Snapshot<Endpoints, Rows>;

/// Most rows of one agent: five times of what an agent sends unless it is configured otherwise.
const MOST_ROWS: usize = 100_000;
/// Most addresses of one agent.
const MOST_ENDPOINTS: usize = 200_000;

/// Fixed-size rows, with the states of all of them in one list and their details in another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub(super) list: Vec<Row>,
    states: Vec<(State, u32)>,
    details: Vec<(Detail, u32)>,
}

/// A row's part of a list that all rows share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    count: u8,
}

impl Span {
    /// Appends a row's part, up to 255 items.
    fn append<T>(list: &mut Vec<T>, items: impl Iterator<Item = T>) -> Self {
        let start = list.len();
        list.extend(items.take(usize::from(u8::MAX)));
        let count = u8::try_from(list.len() - start).unwrap_or(u8::MAX);
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), count }
    }

    fn of<T>(self, list: &[T]) -> &[T] {
        let start = self.start as usize;
        list.get(start..start + usize::from(self.count)).unwrap_or_default()
    }
}

/// Addresses, until they are shared with other agents'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints(pub Vec<Wire>);

impl Rows {
    /// An empty list with room for `rows` rows.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { list: Vec::with_capacity(rows), states: Vec::with_capacity(rows), details: Vec::new() }
    }

    /// Takes a row of the wire.
    pub(super) fn push(&mut self, wire: &WireRow) {
        let told = wire.states.values().fold(0, |sum: u64, n| sum.saturating_add(*n));
        let states = wire.states.iter().map(|(state, n)| (counted(state.clone()), narrow(*n)));
        let untold = wire.connections.checked_sub(told).filter(|n| *n > 0);
        let row = Row {
            src: wire.src,
            dst: wire.dst,
            backend: wire.backend,
            port: wire.port,
            backend_port: wire.backend_port,
            protocol: Some(wire.protocol),
            side: wire.side,
            connections: narrow(wire.connections),
            states: Span::default(),
            details: Span::default(),
        };
        let details = Details {
            histogram: wire.idle,
            idle: narrow(wire.idle_connections),
            client_unclosed: narrow(wire.client_unclosed),
            server_unclosed: narrow(wire.server_unclosed),
            stalled: narrow(wire.stalled),
            unanswered: narrow(wire.unanswered),
            ended: narrow(wire.ended),
        };
        self.add(row, states.chain(untold.map(|n| (UNTOLD, narrow(n)))), details);
    }

    /// Takes a row that has one state.
    pub(super) fn count(&mut self, count: Count) {
        let row = Row {
            src: count.src,
            dst: count.dst,
            backend: count.backend,
            port: count.port,
            backend_port: 0,
            protocol: count.protocol,
            side: count.side,
            connections: narrow(count.connections),
            states: Span::default(),
            details: Span::default(),
        };
        let details = Details {
            idle: narrow(count.idle_connections),
            stalled: narrow(count.stalled),
            unanswered: narrow(count.unanswered),
            ended: narrow(count.ended),
            ..Details::default()
        };
        let state = (count.connections > 0).then(|| (count.state, narrow(count.connections)));
        self.add(row, state.into_iter(), details);
    }

    /// Takes a row with its states and details.
    pub(super) fn add(&mut self, row: Row, states: impl Iterator<Item = (State, u32)>, details: Details) {
        let states = Span::append(&mut self.states, states);
        let details = Span::append(&mut self.details, details.list());
        self.list.push(Row { states, details, ..row });
    }

    /// Drops rows that point beyond the first `endpoints` endpoints, and returns their number.
    pub(super) fn within(&mut self, endpoints: usize) -> u64 {
        let before = self.list.len();
        self.list.retain(|row| (row.src.max(row.dst).max(row.backend) as usize) < endpoints);
        // Copies of just their size: shrinking in place would leave a hole behind each of hundreds of tables.
        self.list = self.list.as_slice().to_vec();
        self.states = self.states.as_slice().to_vec();
        self.details = self.details.as_slice().to_vec();
        (before - self.list.len()) as u64
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The states of a row.
    pub(super) fn states(&self, row: &Row) -> &[(State, u32)] {
        row.states.of(&self.states)
    }

    /// The details of a row.
    pub(super) fn details(&self, row: &Row) -> &[(Detail, u32)] {
        row.details.of(&self.details)
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.list) + size_of_val(&*self.states) + size_of_val(&*self.details)
    }
}

// The kernel's own limit on entries is an unsigned int.
fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl<'a> FromIterator<&'a WireRow> for Rows {
    fn from_iter<I: IntoIterator<Item = &'a WireRow>>(wires: I) -> Self {
        let wires = wires.into_iter();
        let mut rows = Self::with_capacity(wires.size_hint().0);
        wires.for_each(|wire| rows.push(wire));
        rows
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST_ROWS} rows")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Rows, A::Error> {
                let mut rows = Rows::default();
                while let Some(wire) = seq.next_element::<WireRow>()? {
                    if rows.list.len() == MOST_ROWS {
                        return Err(de::Error::invalid_length(MOST_ROWS + 1, &self));
                    }
                    rows.push(&wire);
                }
                Ok(rows)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        khan_api::bounded::list::<_, _, MOST_ENDPOINTS>(deserializer).map(Self)
    }
}

/// Bytes that a snapshot takes at most, were none of its addresses known already.
pub fn bytes(heard: &Heard) -> usize {
    let text = |wire: &Wire| wire.owner.texts().map(str::len).iter().sum::<usize>();
    let endpoints = heard.endpoints.0.iter().map(|wire| size_of::<Endpoint>() + text(wire));
    heard.rows.bytes() + endpoints.sum::<usize>()
}

/// A snapshot made in this process instead of received.
pub fn heard(snapshot: Snapshot) -> Heard {
    let rows = snapshot.rows.iter().collect();
    Snapshot {
        endpoints: Endpoints(snapshot.endpoints),
        rows,
        schema: snapshot.schema,
        id: snapshot.id,
        node: snapshot.node,
        boot_id: snapshot.boot_id,
        version: snapshot.version,
        started: snapshot.started,
        taken: snapshot.taken,
        since: snapshot.since,
        scan_millis: snapshot.scan_millis,
        interval_millis: snapshot.interval_millis,
        names: snapshot.names,
        table: snapshot.table,
        tables: snapshot.tables,
        connections: snapshot.connections,
        node_ports: snapshot.node_ports,
        limits: snapshot.limits,
        snat: snapshot.snat,
        rest: snapshot.rest,
        warnings: snapshot.warnings,
    }
}
