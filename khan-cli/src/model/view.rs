//! The cluster at one moment, as one source knows it: every node's rows, each connection once.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use khan_api::snapshot::{Side, Snat};
use khan_api::{Name, Protocol, Timestamp};

use super::endpoint::Endpoint;
use super::node::{NodeState, NodeStatus};
use super::services::Services;
use super::source::SourceInfo;
use super::state::State;
use super::state::StateCounts;
use super::table::detail::Detail;
use super::table::{NodeTable, Row};

/// Sums over a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections in counted rows, without [`View::rest`].
    pub connections: u64,
    /// Those by state.
    pub states: StateCounts,
    /// Counted rows.
    pub rows: u64,
}

/// What the agents' row bounds left out, so that totals stay exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remainder {
    /// Rows that were left out, on all nodes.
    pub rows: u64,
    /// Connections in them that are counted once by this sum.
    pub connections: u64,
    /// Connections in them that some other node counts, unless that node is among those that do not report.
    pub elsewhere: u64,
    /// Connections in them of clients whose node is not known, so that another node may count them.
    pub unknown: u64,
}

/// The merged cluster. Built by [`super::merge()`], never changed.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Changes exactly when rows, nodes' reporting or snapshots change.
    pub id: u64,
    /// Whether every node of this round has answered or failed.
    pub settled: bool,
    /// When it was put together, by our clock.
    pub assembled: Timestamp,
    /// When its newest snapshot was taken, by our clock.
    pub newest: Option<Timestamp>,
    /// When the oldest snapshot among nodes in state ok was taken, by our clock.
    pub oldest: Option<Timestamp>,
    /// Where it comes from.
    pub source: SourceInfo,
    /// Grows when the source is asked to tell more rows apart: what views of less depth do not show was not looked for.
    pub depth: u32,
    /// Every node, by name.
    pub nodes: Vec<NodeStatus>,
    /// Every address.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Names of external addresses by reverse DNS, as far as they were asked for and are known.
    pub names: Arc<HashMap<IpAddr, Name>>,
    /// The endpoints of services that were dialled, where somebody asks for them.
    pub services: Arc<Services>,
    /// Sums.
    pub totals: Totals,
    /// What agents left out; `None` when they sent everything.
    pub rest: Option<Remainder>,
    /// Notes about this view, one sentence each.
    pub notes: Vec<String>,
    /// What the source knows to be missing from it, one sentence each. [`View::gaps`] has the nodes' as well.
    pub missing: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) reports: Vec<bool>,
}

/// One node's rows within a view.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Index into [`View::nodes`].
    pub(super) node: u32,
    pub(super) table: Arc<NodeTable>,
    /// The table's endpoint numbers to the view's.
    pub(super) endpoints: Box<[u32]>,
    /// The rows of side `unknown` that another node counts, in order.
    pub(super) counted_elsewhere: Box<[u32]>,
    /// Used share of translated ports, in thousandths, by who answers.
    pub(super) snat: HashMap<(u32, u16, Protocol), u16>,
    pub(super) stale: bool,
}

impl Part {
    fn snat(&self, row: &Row) -> u16 {
        // Nearly no node has so many destinations, and many have none.
        if self.snat.is_empty() {
            return 0;
        }
        let Some(protocol) = row.protocol else { return 0 };
        let backend = self.endpoints[row.backend as usize];
        self.snat.get(&(backend, row.backend_port, protocol)).copied().unwrap_or(0)
    }
}

/// A counted row, with numbers into its view.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'view> {
    /// Index into [`View::nodes`].
    pub node: u32,
    /// Index into [`View::endpoints`]: the client.
    pub src: u32,
    /// What it dialled.
    pub dst: u32,
    /// Who answers.
    pub backend: u32,
    /// The service whose node port was dialled.
    pub service: Option<u32>,
    /// Ports, protocol, counts.
    pub row: &'view Row,
    /// Connections by state; together all of them.
    pub states: &'view [(State, u32)],
    /// What else is known of some of them.
    pub details: &'view [(Detail, u32)],
    /// The time in which what [ended](super::table::detail::Detail::Ended) did so, in milliseconds; 0 when that is not known.
    pub window_millis: u64,
    /// Used share, in thousandths, of the ports that a translated source has for who answers; 0 without translation.
    pub snat: u16,
    /// Whether the node's data is old.
    pub stale: bool,
}

impl View {
    /// A view before the first answer.
    pub fn empty(source: SourceInfo) -> Self {
        Self { source, ..Self::default() }
    }

    /// Every row that counts: with side `client`, with side `server` when the client's node does not report, or with side
    /// `unknown` on one of the nodes that have this pair of addresses.
    pub fn rows(&self) -> impl Iterator<Item = RowRef<'_>> {
        self.parts.iter().flat_map(move |part| {
            let window = self.nodes.get(part.node as usize).and_then(NodeStatus::window);
            let window_millis = window.map_or(0, |window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
            (0..).zip(part.table.rows()).filter_map(move |(number, row)| {
                let src = part.endpoints[row.src as usize];
                let counts = match row.side {
                    Side::Client => true,
                    Side::Server => !self.reports[src as usize],
                    Side::Unknown => part.counted_elsewhere.binary_search(&number).is_err(),
                };
                counts.then(|| RowRef {
                    node: part.node,
                    src,
                    dst: part.endpoints[row.dst as usize],
                    backend: part.endpoints[row.backend as usize],
                    service: part.table.service(number).map(|service| part.endpoints[service as usize]),
                    row,
                    states: part.table.states(row),
                    details: part.table.details(row),
                    window_millis,
                    snat: part.snat(row),
                    stale: part.stale,
                })
            })
        })
    }

    /// The tables that it is made of, each with its node's number.
    pub fn tables(&self) -> impl Iterator<Item = (u32, &Arc<NodeTable>)> {
        self.parts.iter().map(|part| (part.node, &part.table))
    }

    /// The endpoints that can take no more than so many connections, as each node's agent says; `None` when none tells.
    pub fn limits(&self) -> Option<Vec<(u32, NonZeroU32)>> {
        let told = self.parts.iter().filter_map(|part| Some((part, part.table.limits.as_ref()?)));
        told.map(|(part, limits)| {
            limits.iter().map(|limit| (part.endpoints[limit.endpoint as usize], limit.connections)).collect::<Vec<_>>()
        })
        .reduce(|mut all, mut more| {
            all.append(&mut more);
            all
        })
    }

    /// What each node's agent says of ports that translated connections take, with the node's number.
    pub fn snat(&self) -> impl Iterator<Item = (u32, &Snat)> {
        self.parts.iter().filter_map(|part| Some((part.node, part.table.snat.as_ref()?)))
    }

    /// How many rows its nodes hold, counted or not: what keeping it costs.
    pub fn weight(&self) -> usize {
        self.parts.iter().map(|part| part.table.rows().len()).sum()
    }

    /// As [`View::weight`], without the tables that `other` holds too.
    pub fn weight_beyond(&self, other: &Self) -> usize {
        let theirs: HashSet<_> = other.parts.iter().map(|part| Arc::as_ptr(&part.table)).collect();
        let own = self.parts.iter().filter(|part| !theirs.contains(&Arc::as_ptr(&part.table)));
        own.map(|part| part.table.rows().len()).sum()
    }

    /// Connections in rows and remainder together.
    pub fn connections(&self) -> u64 {
        self.totals.connections + self.rest.map_or(0, |rest| rest.connections)
    }

    /// Everything that is missing from it, one sentence each. With none the view is whole; with any it is partial, which is
    /// said wherever it is shown, and `--strict` fails.
    pub fn gaps(&self) -> Vec<String> {
        self.missing.iter().cloned().chain(self.nodes.iter().flat_map(NodeStatus::gaps)).collect()
    }

    /// How many nodes are in `state`.
    pub fn count(&self, state: NodeState) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }

    /// How many nodes' connections are part of it.
    pub fn counted_nodes(&self) -> usize {
        self.nodes.iter().filter(|node| node.counted).count()
    }
}

/// The rule of [`View::rows`] in one sentence, for help screens and the JSON metadata.
pub(crate) const COUNTING_RULE: &str = "Every connection is counted once: on its client's node, or on the server's node when the \
                                 client's node has no reporting agent. Where the client's node is not known, it is \
                                 counted once for each pair of client and server address.";
