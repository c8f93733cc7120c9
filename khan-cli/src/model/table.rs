//! One node's snapshot in the form that stays in memory: fixed-size rows, states in one list, endpoints shared.

pub mod detail;
pub mod rows;

pub mod frame;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use khan_api::Snapshot;
use khan_api::snapshot::{Endpoint as Wire, Limit, Rest, Side, Snat};
use khan_api::{Kind, Protocol, ServicePort};

use super::endpoint::{Endpoint, Pool};
use super::state::State;
use detail::Detail;
use rows::{Heard, Rows, Span};

/// Connections with the same client, service address, backend, ports and protocol; as
/// [`khan_api::snapshot::Row`]. Endpoint numbers are local to the table. What only some rows have is in
/// [`NodeTable::details`]: a million rows stay in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client.
    pub src: u32,
    /// What it dialled.
    pub dst: u32,
    /// Who answers.
    pub backend: u32,
    /// Port dialled; 0 if unknown.
    pub port: u16,
    /// Port that answers; 0 if unknown.
    pub backend_port: u16,
    /// Transport, if known.
    pub protocol: Option<Protocol>,
    /// Which node counts these connections.
    pub side: Side,
    /// Connections.
    pub connections: u32,
    states: Span,
    details: Span,
}

/// What a snapshot says beside its rows and endpoints.
struct Beside {
    rest: Option<Rest>,
    node_ports: Vec<ServicePort>,
    limits: Option<Vec<Limit>>,
    snat: Option<Snat>,
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
    /// Services behind ports of nodes.
    pub node_ports: Vec<ServicePort>,
    /// What endpoints can take; `None` when the source does not tell.
    pub limits: Option<Vec<Limit>>,
    /// Ports that translated connections take; `None` when the source does not tell.
    pub snat: Option<Snat>,
    /// Numbers of the rows that were dialled at such a port, in order, each with the number of the service's endpoint.
    through: Box<[(u32, u32)]>,
}

impl NodeTable {
    /// Takes the rows of `snapshot`. Rows that point outside its endpoints are left out; their number is returned too.
    pub fn new(snapshot: &Snapshot, pool: &mut Pool) -> (Self, u64) {
        let rows = snapshot.rows.iter().collect();
        let beside = Beside {
            rest: snapshot.rest,
            node_ports: snapshot.node_ports.clone(),
            limits: snapshot.limits.clone(),
            snat: snapshot.snat.clone(),
        };
        Self::build(&snapshot.id, &snapshot.endpoints, rows, beside, pool)
    }

    /// The same of a snapshot that an agent sent.
    pub fn heard(snapshot: Heard, pool: &mut Pool) -> (Self, u64) {
        let beside = Beside {
            rest: snapshot.rest,
            node_ports: snapshot.node_ports,
            limits: snapshot.limits,
            snat: snapshot.snat,
        };
        Self::build(&snapshot.id, &snapshot.endpoints.0, snapshot.rows, beside, pool)
    }

    fn build(id: &str, endpoints: &[Wire], mut rows: Rows, beside: Beside, pool: &mut Pool) -> (Self, u64) {
        let Beside { rest, node_ports, mut limits, snat } = beside;
        if let Some(limits) = &mut limits {
            limits.retain(|limit| (limit.endpoint as usize) < endpoints.len());
        }
        let mut endpoints: Vec<_> = endpoints.iter().map(|wire| pool.endpoint(wire)).collect();
        let refused = rows.within(endpoints.len());
        let through = through(&rows.list, &mut endpoints, &node_ports, pool);
        (Self { snapshot: id.to_owned(), endpoints, rows, rest, node_ports, limits, snat, through }, refused)
    }

    /// A table of a source that knows less than an agent: rows with counts and perhaps a state, port and protocol.
    pub fn from_counts(
        snapshot: String,
        endpoints: Vec<Arc<Endpoint>>,
        counts: impl IntoIterator<Item = Count>,
    ) -> Self {
        let mut rows = Rows::default();
        counts.into_iter().for_each(|count| rows.count(count));
        Self { snapshot, endpoints, rows, ..Self::default() }
    }

    /// The table with the rows that earlier ones of its node have and it has not: without connections, so that what was there
    /// is seen. Tables that share a pool are compared by their endpoints.
    #[must_use]
    pub fn with_absent<'a>(&self, earlier: impl Iterator<Item = &'a Self>) -> Self {
        let mut numbers: HashMap<*const Endpoint, u32> = HashMap::new();
        let mut table = Self {
            snapshot: self.snapshot.clone(),
            endpoints: self.endpoints.clone(),
            rows: self.rows.clone(),
            rest: self.rest,
            node_ports: self.node_ports.clone(),
            limits: self.limits.clone(),
            snat: self.snat.clone(),
            through: self.through.clone(),
        };
        for (endpoint, number) in self.endpoints.iter().zip(0..) {
            numbers.insert(Arc::as_ptr(endpoint), number);
        }
        let place = |row: &Row| (row.src, row.dst, row.backend, row.port, row.backend_port, row.protocol);
        let mut known: HashSet<_> = self.rows().iter().map(place).collect();
        for other in earlier {
            let mut number = |at: u32| {
                let endpoint = &other.endpoints[at as usize];
                *numbers.entry(Arc::as_ptr(endpoint)).or_insert_with(|| {
                    table.endpoints.push(Arc::clone(endpoint));
                    u32::try_from(table.endpoints.len() - 1).unwrap_or(u32::MAX)
                })
            };
            for row in other.rows() {
                let (src, dst, backend) = (number(row.src), number(row.dst), number(row.backend));
                let absent = Row { src, dst, backend, connections: 0, ..*row };
                if known.insert(place(&absent)) {
                    table.rows.add(absent, std::iter::empty(), detail::Details::default());
                }
            }
        }
        table
    }

    /// Every row, counted on this node or not.
    pub fn rows(&self) -> &[Row] {
        &self.rows.list
    }

    /// Connections of `row` by state; together all of them.
    pub fn states(&self, row: &Row) -> &[(State, u32)] {
        self.rows.states(row)
    }

    /// What else is known of some connections of `row`; each detail at most once, without zeroes.
    pub fn details(&self, row: &Row) -> &[(Detail, u32)] {
        self.rows.details(row)
    }

    /// The endpoint number of the service whose node port the row with this number was dialled at.
    pub fn service(&self, row: u32) -> Option<u32> {
        let at = self.through.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        Some(self.through[at].1)
    }

    /// Bytes that it takes, including the addresses that no other table shares.
    pub fn bytes(&self) -> usize {
        let text = |endpoint: &Endpoint| endpoint.owner.texts().map(str::len).iter().sum::<usize>();
        let alone = self.endpoints.iter().filter(|endpoint| Arc::strong_count(endpoint) <= 2);
        let own: usize = alone.map(|endpoint| size_of::<Endpoint>() + text(endpoint)).sum();
        self.rows.bytes() + size_of_val(&*self.endpoints) + size_of_val(&*self.through) + own
    }

    /// Whether the endpoint names the sum of many addresses.
    pub fn is_sum(endpoint: &Endpoint) -> bool {
        endpoint.ip.is_none() && endpoint.owner.kind == Kind::Unknown
    }
}

/// The rows that were dialled at a node port. Their services become endpoints without an address, unless they have one.
fn through(
    rows: &[Row],
    endpoints: &mut Vec<Arc<Endpoint>>,
    ports: &[ServicePort],
    pool: &mut Pool,
) -> Box<[(u32, u32)]> {
    let ports: HashMap<_, _> = ports.iter().map(|port| ((port.port, port.protocol), port)).collect();
    let mut numbers = HashMap::new();
    let mut found = Vec::new();
    for (number, row) in (0..).zip(rows).filter(|_| !ports.is_empty()) {
        let service = row.protocol.and_then(|protocol| ports.get(&(row.port, protocol)));
        let at_node = |row: &Row| endpoints[row.dst as usize].owner.kind == Kind::Node;
        let Some(service) = service.filter(|_| at_node(row)) else { continue };
        let at = *numbers.entry((&*service.ns, &*service.name)).or_insert_with(|| {
            let is_it = |endpoint: &Arc<Endpoint>| {
                let owner = endpoint.owner.as_deref();
                (owner.kind, owner.ns, owner.name) == (Kind::Service, &*service.ns, &*service.name)
            };
            endpoints.iter().position(is_it).unwrap_or_else(|| {
                let (ns, name) = (service.ns.clone(), service.name.clone());
                let owner = khan_api::Owner { kind: Kind::Service, ns, name, ..khan_api::Owner::default() };
                endpoints.push(pool.endpoint(&Wire { owner, ..Wire::default() }));
                endpoints.len() - 1
            })
        });
        found.push((number, u32::try_from(at).unwrap_or(u32::MAX)));
    }
    found.into()
}

/// One row of a source that knows counts only.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Number of the client's endpoint.
    pub src: u32,
    /// Number of the destination's endpoint.
    pub dst: u32,
    /// Number of the endpoint that answers, which is the destination's unless it is known to be dead.
    pub backend: u32,
    /// Port dialled; 0 if unknown.
    pub port: u16,
    /// Transport, if known.
    pub protocol: Option<Protocol>,
    /// State, or `UNTOLD`.
    pub state: State,
    /// Which node counts these connections.
    pub side: Side,
    /// Connections.
    pub connections: u64,
    /// Established without a packet for the agent's threshold.
    pub idle_connections: u64,
    /// Established, and nobody acknowledges their data.
    pub stalled: u64,
    /// Nobody has answered.
    pub unanswered: u64,
    /// Ended since the snapshot before.
    pub ended: u64,
}
