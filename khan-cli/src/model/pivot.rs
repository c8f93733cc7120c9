//! Rows of a view to the groups of a query: scope, filter, sums.

use std::collections::HashSet;

use khan_api::{Kind, Protocol, TcpState};

use super::filter::eval::Compiled;
use super::group::{GroupBy, RowKey};
use super::hash::{MixMap, chain, fingerprint};
use super::party::{Grain, Party};
use super::query::Query;
use super::state::{State, StateCounts};
use super::view::{RowRef, View};

/// Sums over the connections of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Connections.
    pub connections: u64,
    /// By state.
    pub states: StateCounts,
    /// Established, by time since the last packet; bounds as in [`khan_api::snapshot::IDLE_BOUNDS_SECONDS`].
    pub idle: [u64; 5],
    /// Established, without a packet for the agent's threshold.
    pub idle_connections: u64,
    /// Half-closed, the client has yet to close.
    pub client_unclosed: u64,
    /// Half-closed, the server has yet to close.
    pub server_unclosed: u64,
    /// Connections that outlived the owner of an address.
    pub ghosts: u64,
    /// Connections from nodes whose data is old.
    pub stale: u64,
}

impl Sum {
    /// Half-closed connections.
    pub fn half_closed(&self) -> u64 {
        self.client_unclosed + self.server_unclosed
    }

    /// Adds `other`.
    pub fn merge(&mut self, other: &Self) {
        self.connections += other.connections;
        self.states.merge(&other.states);
        for (mine, theirs) in self.idle.iter_mut().zip(other.idle) {
            *mine += theirs;
        }
        self.idle_connections += other.idle_connections;
        self.client_unclosed += other.client_unclosed;
        self.server_unclosed += other.server_unclosed;
        self.ghosts += other.ghosts;
        self.stale += other.stale;
    }
}

/// One group of a pivot. Parties are numbers into [`Pivot::sources`], [`Pivot::destinations`] and [`Pivot::backends`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) key: RowKey,
    pub(crate) src: u32,
    pub(crate) dst: u32,
    pub(crate) behind: u32,
    pub(crate) node: u32,
    pub(crate) port: Option<u16>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) state: Option<State>,
    /// How many external addresses stand at its source and its destination.
    pub(crate) outside: [u32; 2],
    /// Set when it stands for many destinations.
    pub(crate) fan: Option<Fan>,
    pub(crate) sum: Sum,
}

/// The destinations that a folded group stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fan {
    /// How many addresses.
    pub(crate) ends: u32,
    /// What they are, when they are all the same.
    pub(crate) kind: Option<Kind>,
}

/// No party, no node.
pub(crate) const NONE: u32 = u32::MAX;

/// The groups of a query on a view.
#[derive(Debug, Default)]
pub(crate) struct Pivot {
    pub(crate) groups: Vec<Group>,
    pub(crate) sources: Vec<Party>,
    pub(crate) destinations: Vec<Party>,
    pub(crate) backends: Vec<Party>,
    pub(crate) total: Sum,
}

/// Groups what passes scope and row terms.
pub(crate) fn pivot(view: &View, query: &Query) -> Pivot {
    let by = query.group_by;
    let keyer = Keyer::new(view, by);
    let mut outside = HashSet::new();
    let (mut seen_sources, mut seen_destinations) = (Seen::new(&keyer.sources), Seen::new(&keyer.destinations));
    let mut seen_backends = Seen::new(&keyer.backends);
    let mut pivot = Pivot::default();
    let mut index: MixMap<u128, u32> = MixMap::default();
    each(view, query, |row, state, sum| {
        let far = keyer.far(row);
        let key = keyer.key(row, state);
        let at = *index.entry(key.0).or_insert_with(|| {
            pivot.groups.push(Group {
                key,
                src: keyer.sources.number(row.src),
                dst: keyer.destinations.number(far),
                behind: keyer.backends.number(row.backend),
                node: if by.node { row.node } else { NONE },
                port: (by.port && row.row.port > 0).then_some(row.row.port),
                protocol: if by.protocol { row.row.protocol } else { None },
                state: if by.state { state } else { None },
                outside: [0; 2],
                fan: None,
                sum: Sum::default(),
            });
            u32::try_from(pivot.groups.len() - 1).unwrap_or(NONE)
        });
        pivot.groups[at as usize].sum.merge(sum);
        pivot.total.merge(sum);
        for (side, end) in [row.src, far].into_iter().enumerate() {
            if view.endpoints[end as usize].kind == Kind::External && outside.insert((at, side, end)) {
                pivot.groups[at as usize].outside[side] += 1;
            }
        }
        seen_sources.note(row.src);
        seen_destinations.note(far);
        seen_backends.note(row.backend);
    });
    pivot.sources = seen_sources.finish(keyer.sources);
    pivot.destinations = seen_destinations.finish(keyer.destinations);
    pivot.backends = seen_backends.finish(keyer.backends);
    pivot
}

/// Calls `add` with every row of the query's scope that passes its row terms: once, or once per state where states
/// matter.
pub(crate) fn each(view: &View, query: &Query, mut add: impl FnMut(&RowRef<'_>, Option<State>, &Sum)) {
    let filter = Compiled::new(&query.filter, query.inverted, view);
    let scope = Scope::new(view, query);
    let split = query.group_by.state || filter.looks_at_states();
    for row in view.rows().filter(|row| scope.holds(row)) {
        let gone = [row.src, row.dst, row.backend].iter().any(|end| view.endpoints[*end as usize].gone);
        if split {
            for (state, n) in row.states {
                if filter.passes(&row, Some(*state)) {
                    add(&row, Some(*state), &partial(&row, *state, u64::from(*n), gone));
                }
            }
        } else if filter.passes(&row, None) {
            add(&row, None, &whole(&row, gone));
        }
    }
}

/// Computes the row key of any row of a view.
pub(crate) struct Keyer {
    by: GroupBy,
    sources: Parties,
    destinations: Parties,
    /// Beside destinations, when the query tells both apart.
    backends: Parties,
    nodes: Vec<u128>,
}

impl Keyer {
    pub(crate) fn new(view: &View, by: GroupBy) -> Self {
        let nodes = if by.node { view.nodes.iter().map(|node| fingerprint(&node.node)).collect() } else { Vec::new() };
        Self {
            by,
            sources: Parties::new(view, by.src),
            destinations: Parties::new(view, by.dst),
            backends: Parties::new(view, by.behind),
            nodes,
        }
    }

    fn far(&self, row: &RowRef<'_>) -> u32 {
        if self.by.takes_backend() { row.backend } else { row.dst }
    }

    pub(crate) fn key(&self, row: &RowRef<'_>, state: Option<State>) -> RowKey {
        let by = self.by;
        let mut key = chain(self.sources.key(row.src), self.destinations.key(self.far(row)));
        if by.behind.is_some() {
            key = chain(key, self.backends.key(row.backend));
        }
        if by.node {
            key = chain(key, self.nodes[row.node as usize]);
        }
        if by.port || by.protocol || by.state {
            let port = if by.port { u128::from(row.row.port) + 1 } else { 0 };
            let protocol = if by.protocol { row.row.protocol.map_or(1, |p| p as u128) } else { 0 };
            let state = if by.state { state.map_or(0, |s| s.index() as u128 + 1) } else { 0 };
            key = chain(key, port << 32 | protocol << 16 | state);
        }
        RowKey(key)
    }

    /// The party of the row's client.
    pub(crate) fn source(&self, row: &RowRef<'_>) -> Option<&Party> {
        self.sources.all.get(self.sources.number(row.src) as usize)
    }
}

fn whole(row: &RowRef<'_>, gone: bool) -> Sum {
    let connections = u64::from(row.row.connections);
    let mut sum = Sum {
        connections,
        idle: row.row.idle.0.map(u64::from),
        idle_connections: u64::from(row.row.idle_connections),
        client_unclosed: u64::from(row.row.client_unclosed),
        server_unclosed: u64::from(row.row.server_unclosed),
        ghosts: if gone { connections } else { 0 },
        stale: if row.stale { connections } else { 0 },
        ..Sum::default()
    };
    for (state, n) in row.states {
        sum.states.add(*state, u64::from(*n));
    }
    sum
}

/// The connections of a row in one state. Idle times belong to the established ones, half-closed sides to `CLOSE_WAIT`
/// (the state that half-closed connections stay in).
fn partial(row: &RowRef<'_>, state: State, connections: u64, gone: bool) -> Sum {
    let mut sum = whole(row, gone);
    let states = std::mem::take(&mut sum.states);
    sum.states.add(state, connections);
    sum.connections = connections;
    sum.ghosts = if gone { connections } else { 0 };
    sum.stale = if row.stale { connections } else { 0 };
    let untold = state == State::Untold && states.told() == 0;
    if !untold && state != State::Tcp(TcpState::Established) {
        sum.idle = [0; 5];
        sum.idle_connections = 0;
    }
    if state != State::Tcp(TcpState::CloseWait) {
        (sum.client_unclosed, sum.server_unclosed) = (0, 0);
    }
    sum
}

/// Either end in one of the namespaces, and either end one of the labelled pods.
struct Scope([Option<Vec<bool>>; 2]);

impl Scope {
    fn new(view: &View, query: &Query) -> Self {
        let namespaces = &query.namespaces;
        let within =
            || view.endpoints.iter().map(|endpoint| namespaces.iter().any(|ns| **ns == *endpoint.ns)).collect();
        let labelled = query.labelled.as_ref().map(|pods| pods.among(&view.endpoints));
        Self([(!namespaces.is_empty()).then(within), labelled])
    }

    fn holds(&self, row: &RowRef<'_>) -> bool {
        let either = |ends: &Vec<bool>| [row.src, row.dst, row.backend].into_iter().any(|end| ends[end as usize]);
        self.0.iter().flatten().all(either)
    }
}

/// Which party each endpoint of a view belongs to.
struct Parties {
    all: Vec<Party>,
    keys: Vec<u128>,
    /// Party of each endpoint; empty without a grain.
    of: Vec<u32>,
}

impl Parties {
    fn new(view: &View, grain: Option<Grain>) -> Self {
        let mut these = Self { all: Vec::new(), keys: Vec::new(), of: Vec::new() };
        let Some(grain) = grain else { return these };
        let mut index: MixMap<u128, u32> = MixMap::default();
        for endpoint in &view.endpoints {
            let (key, party) = Party::of(endpoint, grain);
            these.of.push(*index.entry(key).or_insert_with(|| {
                these.all.push(party);
                these.keys.push(key);
                u32::try_from(these.all.len() - 1).unwrap_or(NONE)
            }));
        }
        these
    }

    fn number(&self, endpoint: u32) -> u32 {
        self.of.get(endpoint as usize).copied().unwrap_or(NONE)
    }

    fn key(&self, endpoint: u32) -> u128 {
        self.of.get(endpoint as usize).map_or(0, |party| self.keys[*party as usize])
    }
}

/// Counts the addresses that really occur behind each party.
struct Seen(Vec<bool>);

impl Seen {
    fn new(parties: &Parties) -> Self {
        Self(vec![false; parties.of.len()])
    }

    fn note(&mut self, endpoint: u32) {
        if let Some(seen) = self.0.get_mut(endpoint as usize) {
            *seen = true;
        }
    }

    fn finish(self, mut parties: Parties) -> Vec<Party> {
        for party in &mut parties.all {
            party.addresses = 0;
        }
        for (party, _) in parties.of.iter().zip(self.0).filter(|(_, seen)| *seen) {
            parties.all[*party as usize].addresses += 1;
        }
        parties.all
    }
}
