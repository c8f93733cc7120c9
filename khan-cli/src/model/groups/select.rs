//! The first step: which rows of a view a question counts, each with its numbers.
//!
//! The filter is made ready for one view, so that questions about endpoints are answered once per endpoint and not once per
//! row.

use super::keyer::Keyer;
use super::sum::{Sum, partial, whole};
use crate::model::filter::{Filter, Not, RowTerm, StateTerm};
use crate::model::group_by::RowKey;
use crate::model::query::Query;
use crate::model::selector::{Glob, Selector};
use crate::model::state::{State, UNTOLD};
use crate::model::view::{RowRef, View};

/// Calls `add` with every row of the query's scope that passes its row terms: once, or once per state where states
/// matter.
pub(crate) fn select(view: &View, query: &Query, mut add: impl FnMut(&RowRef<'_>, Option<State>, &Sum)) {
    let filter = Compiled::new(&query.filter, query.inverted, view);
    let scope = Scope::new(view, query);
    let split = query.group_by.state || filter.looks_at_states();
    for row in view.rows().filter(|row| scope.holds(row)) {
        let previous = [row.src, row.dst, row.backend].iter().any(|end| view.endpoints[*end as usize].previous);
        if split {
            for (state, n) in row.states {
                if filter.passes(&row, Some(*state)) {
                    add(&row, Some(*state), &partial(&row, *state, u64::from(*n), previous));
                }
            }
        } else if filter.passes(&row, None) {
            add(&row, None, &whole(&row, previous));
        }
    }
}

/// Either end in one of the namespaces, and either end one of the labelled pods.
struct Scope([Option<Vec<bool>>; 2]);

impl Scope {
    fn new(view: &View, query: &Query) -> Self {
        let namespaces = &query.namespaces;
        let within =
            || view.endpoints.iter().map(|endpoint| namespaces.iter().any(|ns| **ns == *endpoint.owner.ns)).collect();
        let labelled = query.labels.as_ref().map(|pods| pods.among(&view.endpoints));
        Self([(!namespaces.is_empty()).then(within), labelled])
    }

    fn holds(&self, row: &RowRef<'_>) -> bool {
        let either = |ends: &Vec<bool>| [row.src, row.dst, row.backend].into_iter().any(|end| ends[end as usize]);
        self.0.iter().flatten().all(either)
    }
}

/// The row terms of a filter, with one bit per endpoint or node of a view.
struct Compiled<'filter> {
    terms: Vec<(bool, Test<'filter>)>,
    states: Vec<(bool, &'filter [StateTerm])>,
    splits: bool,
    inverted: bool,
}

enum Test<'filter> {
    Src(Vec<bool>),
    Dst(Vec<bool>),
    Any(Vec<bool>),
    Port(&'filter [(u16, u16)]),
    Protocol(&'filter [khan_api::Protocol]),
    Node { observers: Vec<bool>, ends: Vec<bool> },
    Ghost(Vec<bool>),
    Member(Box<Keyer>, RowKey),
}

impl<'filter> Compiled<'filter> {
    fn new(filter: &'filter Filter, inverted: bool, view: &View) -> Self {
        let mut compiled = Self {
            terms: Vec::new(),
            states: Vec::new(),
            splits: false,
            inverted: inverted && !filter.rows.is_empty(),
        };
        let ends = |selectors: &[Selector]| -> Vec<bool> {
            view.endpoints.iter().map(|endpoint| selectors.iter().any(|selector| selector.matches(endpoint))).collect()
        };
        let any = |globs: &[Glob], text: &str| !text.is_empty() && globs.iter().any(|glob| glob.matches(text));
        for Not { negated, term } in &filter.rows {
            let test = match term {
                RowTerm::Src(selectors) => Test::Src(ends(selectors)),
                RowTerm::Dst(selectors) => Test::Dst(ends(selectors)),
                RowTerm::Any(selectors) => Test::Any(ends(selectors)),
                RowTerm::Port(ranges) => Test::Port(ranges),
                RowTerm::Protocol(protocols) => Test::Protocol(protocols),
                RowTerm::Node(globs) => Test::Node {
                    observers: view.nodes.iter().map(|node| any(globs, &node.node)).collect(),
                    ends: view.endpoints.iter().map(|endpoint| any(globs, &endpoint.owner.node)).collect(),
                },
                RowTerm::Ghost => Test::Ghost(view.endpoints.iter().map(|endpoint| endpoint.previous).collect()),
                RowTerm::State(states) => {
                    compiled.states.push((*negated, states));
                    compiled.splits = true;
                    continue;
                }
                RowTerm::Member(by, key) => {
                    compiled.splits |= by.state;
                    Test::Member(Box::new(Keyer::new(view, *by)), *key)
                }
            };
            compiled.terms.push((*negated, test));
        }
        compiled
    }

    /// Whether states matter, so that a row may pass in part.
    fn looks_at_states(&self) -> bool {
        self.splits
    }

    /// Whether connections of `row` in `state` pass; `None` for all of them, when states do not matter.
    fn passes(&self, row: &RowRef<'_>, state: Option<State>) -> bool {
        let in_state = |term: &StateTerm| state.is_some_and(|state| term.holds(state));
        let holds = self.terms.iter().all(|(negated, test)| test.holds(row, state) != *negated)
            && self.states.iter().all(|(negated, terms)| terms.iter().any(in_state) != *negated);
        holds != self.inverted
    }
}

impl Test<'_> {
    fn holds(&self, row: &RowRef<'_>, state: Option<State>) -> bool {
        let (src, dst, backend) = (row.src as usize, row.dst as usize, row.backend as usize);
        let service = |ends: &[bool]| row.service.is_some_and(|service| ends[service as usize]);
        match self {
            Self::Src(ends) => ends[src],
            Self::Dst(ends) => ends[dst] || ends[backend] || service(ends),
            Self::Any(ends) => ends[src] || ends[dst] || ends[backend] || service(ends),
            Self::Ghost(ends) => ends[src] || ends[dst] || ends[backend],
            Self::Port(ranges) => {
                let within = |port| ranges.iter().any(|(low, high)| (*low..=*high).contains(&port));
                (row.row.port > 0 && within(row.row.port)) || (row.row.backend_port > 0 && within(row.row.backend_port))
            }
            Self::Protocol(protocols) => row.row.protocol.is_some_and(|protocol| protocols.contains(&protocol)),
            Self::Node { observers, ends } => observers[row.node as usize] || ends[src] || ends[dst] || ends[backend],
            Self::Member(keyer, key) => keyer.key(row, state) == *key,
        }
    }
}

impl StateTerm {
    fn holds(self, state: State) -> bool {
        match self {
            Self::One(one) => one == state,
            Self::Part(part) => state != UNTOLD && state.lifecycle() == part,
        }
    }
}
