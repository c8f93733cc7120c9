//! The second step: selected rows of one key become a group.

use std::collections::HashSet;

use khan_api::{Kind, Protocol};

use super::keyer::{Ends, Keyer, NONE};
use super::select::select;
use super::sum::Sum;
use crate::model::group_by::RowKey;
use crate::model::group_end::GroupEnd;
use crate::model::hash::MixMap;
use crate::model::query::Query;
use crate::model::state::State;
use crate::model::view::View;

/// One group. Ends are numbers into [`Groups::sources`], [`Groups::destinations`] and [`Groups::backends`].
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
    /// One of them each, by its number in the view.
    pub(crate) outsider: [u32; 2],
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

/// The groups of a query on a view.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) all: Vec<Group>,
    pub(crate) sources: Vec<GroupEnd>,
    pub(crate) destinations: Vec<GroupEnd>,
    pub(crate) backends: Vec<GroupEnd>,
    pub(crate) total: Sum,
    /// Connections of Khan's own that are left out.
    pub(crate) own: u64,
}

/// Groups what passes scope and row terms.
pub(crate) fn group(view: &View, query: &Query) -> Groups {
    let by = query.group_by;
    let keyer = Keyer::new(view, by);
    let mut outside = HashSet::new();
    let (mut seen_sources, mut seen_destinations) = (Seen::new(&keyer.sources), Seen::new(&keyer.destinations));
    let mut seen_backends = Seen::new(&keyer.backends);
    let mut groups = Groups::default();
    let mut index: MixMap<u128, u32> = MixMap::default();
    let own = select(view, query, |row, state, sum| {
        let far = keyer.far(row);
        let key = keyer.key(row, state);
        let at = *index.entry(key.0).or_insert_with(|| {
            groups.all.push(Group {
                key,
                src: keyer.sources.number(row.src),
                dst: keyer.destinations.number(far),
                behind: keyer.backends.number(row.backend),
                node: if by.node { row.node } else { NONE },
                port: (by.port && row.row.port > 0).then_some(row.row.port),
                protocol: if by.protocol { row.row.protocol } else { None },
                state: if by.state { state } else { None },
                outside: [0; 2],
                outsider: [NONE; 2],
                fan: None,
                sum: Sum::default(),
            });
            u32::try_from(groups.all.len() - 1).unwrap_or(NONE)
        });
        groups.all[at as usize].sum.merge(sum);
        groups.total.merge(sum);
        for (side, end) in [row.src, far].into_iter().enumerate() {
            if view.endpoints[end as usize].owner.kind == Kind::External && outside.insert((at, side, end)) {
                groups.all[at as usize].outside[side] += 1;
                groups.all[at as usize].outsider[side] = end;
            }
        }
        seen_sources.note(row.src);
        seen_destinations.note(far);
        seen_backends.note(row.backend);
    });
    groups.own = own;
    groups.sources = seen_sources.finish(keyer.sources);
    groups.destinations = seen_destinations.finish(keyer.destinations);
    groups.backends = seen_backends.finish(keyer.backends);
    groups
}

/// Counts the addresses that really occur behind each end.
struct Seen(Vec<bool>);

impl Seen {
    fn new(ends: &Ends) -> Self {
        Self(vec![false; ends.of.len()])
    }

    fn note(&mut self, endpoint: u32) {
        if let Some(seen) = self.0.get_mut(endpoint as usize) {
            *seen = true;
        }
    }

    fn finish(self, mut ends: Ends) -> Vec<GroupEnd> {
        for end in &mut ends.all {
            end.addresses = 0;
        }
        for (end, _) in ends.of.iter().zip(self.0).filter(|(_, seen)| *seen) {
            ends.all[*end as usize].addresses += 1;
        }
        ends.all
    }
}
