//! A filter made ready for one view: questions about endpoints are answered once per endpoint, not once per row.

use super::{Filter, Flag, GroupTerm, Measure, Not, RowTerm, StateTerm};
use crate::model::group::RowKey;
use crate::model::pivot::Keyer;
use crate::model::selector::{Glob, Selector};
use crate::model::state::State;
use crate::model::view::{RowRef, View};

/// The row terms of a filter, with one bit per endpoint or node of a view.
pub(crate) struct Compiled<'filter> {
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
    pub(crate) fn new(filter: &'filter Filter, inverted: bool, view: &View) -> Self {
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
                    ends: view.endpoints.iter().map(|endpoint| any(globs, &endpoint.node)).collect(),
                },
                RowTerm::Ghost => Test::Ghost(view.endpoints.iter().map(|endpoint| endpoint.gone).collect()),
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
    pub(crate) fn looks_at_states(&self) -> bool {
        self.splits
    }

    /// Whether connections of `row` in `state` pass; `None` for all of them, when states do not matter.
    pub(crate) fn passes(&self, row: &RowRef<'_>, state: Option<State>) -> bool {
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
            Self::Part(part) => state != State::Untold && state.lifecycle() == part,
        }
    }
}

/// What group terms ask about.
pub(crate) trait Measured {
    /// The number, when it is known.
    fn number(&self, measure: Measure) -> Option<f64>;
    /// Whether the group carries the flag.
    fn is(&self, flag: Flag) -> bool;
}

impl Filter {
    /// Whether a group passes the group terms. A number that is not known satisfies no comparison.
    pub(crate) fn passes_group(&self, group: &impl Measured, inverted: bool) -> bool {
        if self.groups.is_empty() {
            return true;
        }
        let holds = |term: &GroupTerm| match term {
            GroupTerm::Is(flag) => group.is(*flag),
            GroupTerm::Number(measure, compare, thousandths) => {
                group.number(*measure).is_some_and(|number| compare.holds(number, *thousandths as f64 / 1000.0))
            }
        };
        self.groups.iter().all(|Not { negated, term }| holds(term) != *negated) != inverted
    }
}
