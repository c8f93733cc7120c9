//! Which group each row of a view belongs to.

use crate::model::group_by::{GroupBy, RowKey};
use crate::model::group_end::{Grain, GroupEnd};
use crate::model::hash::{MixMap, chain};
use crate::model::state::{self, State};
use crate::model::view::{RowRef, View};

/// No end, no node.
pub(crate) const NONE: u32 = u32::MAX;

/// Computes the row key of any row of a view.
pub(crate) struct Keyer {
    by: GroupBy,
    pub(super) sources: Ends,
    pub(super) destinations: Ends,
    /// In addition to the destination, if the query distinguishes both.
    pub(super) backends: Ends,
    nodes: Vec<u128>,
}

impl Keyer {
    pub(crate) fn new(view: &View, by: GroupBy) -> Self {
        let nodes = if by.node {
            view.nodes.iter().map(|node| crate::model::hash::name(&[&node.node])).collect()
        } else {
            Vec::new()
        };
        Self {
            by,
            sources: Ends::new(view, by.src),
            destinations: Ends::new(view, by.dst),
            backends: Ends::new(view, by.behind),
            nodes,
        }
    }

    /// The endpoint that stands for the destination.
    pub(super) fn far(&self, row: &RowRef<'_>) -> u32 {
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
            let state = state.filter(|_| by.state).map_or(0, state::key);
            key = chain(key, (port << 32 | protocol << 16) ^ state);
        }
        RowKey(key)
    }

    /// The end of the row's client.
    pub(crate) fn source(&self, row: &RowRef<'_>) -> Option<&GroupEnd> {
        self.sources.all.get(self.sources.number(row.src) as usize)
    }
}

/// Which end of a group each endpoint of a view belongs to.
pub(super) struct Ends {
    pub(super) all: Vec<GroupEnd>,
    keys: Vec<u128>,
    /// The end of each endpoint; empty without a grain.
    pub(super) of: Vec<u32>,
}

impl Ends {
    fn new(view: &View, grain: Option<Grain>) -> Self {
        let mut these = Self { all: Vec::new(), keys: Vec::new(), of: Vec::new() };
        let Some(grain) = grain else { return these };
        let mut index: MixMap<u128, u32> = MixMap::default();
        for endpoint in &view.endpoints {
            let (key, end) = GroupEnd::of(endpoint, grain);
            these.of.push(*index.entry(key).or_insert_with(|| {
                these.all.push(end);
                these.keys.push(key);
                u32::try_from(these.all.len() - 1).unwrap_or(NONE)
            }));
        }
        these
    }

    pub(super) fn number(&self, endpoint: u32) -> u32 {
        self.of.get(endpoint as usize).copied().unwrap_or(NONE)
    }

    fn key(&self, endpoint: u32) -> u128 {
        self.of.get(endpoint as usize).map_or(0, |end| self.keys[*end as usize])
    }
}
