//! The first step: which rows of a view a question counts, each with its numbers.
//!
//! The filter is made ready for one view, so that questions about endpoints are answered once per endpoint and not once per
//! row.

use khan_api::{Kind, OwnerRef};

use super::keyer::Keyer;
use super::sum::{Marks, Sum, partial, whole};
use crate::model::endpoint::Endpoint;
use crate::model::filter::{Clause, Filter, Pattern, RowTerm, StateTerm, Subject};
use crate::model::group_by::RowKey;
use crate::model::own::Own;
use crate::model::query::Query;
use crate::model::selector::{Glob, Selector};
use crate::model::state::{State, UNTOLD};
use crate::model::view::{RowRef, View};

/// Calls `add` with every row of the query's scope that passes its row terms: once, or once per state where states
/// matter. Says how many connections of Khan's own pass and are left out.
pub(crate) fn select(view: &View, query: &Query, mut add: impl FnMut(&RowRef<'_>, Option<State>, &Sum)) -> u64 {
    let own = (!query.own).then(|| Own::of(view));
    let mut left_out = 0;
    let mut add = |row: &RowRef<'_>, state: Option<State>, sum: &Sum| {
        if own.as_ref().is_some_and(|own| own.holds(row)) {
            left_out += sum.connections;
        } else {
            add(row, state, sum);
        }
    };
    let filter = Compiled::new(&query.filter, query.inverted, view);
    let scope = Scope::new(view, query);
    let split = query.group_by.state || filter.looks_at_states();
    for row in view.rows().filter(|row| scope.holds(row)) {
        let marks = Marks {
            previous: [row.src, row.dst, row.backend].iter().any(|end| view.endpoints[*end as usize].previous),
            dead: view.endpoints[row.backend as usize].dead.is_some(),
        };
        if split {
            for (state, n) in row.states {
                if filter.passes(&row, Some(*state)) {
                    add(&row, Some(*state), &partial(&row, *state, u64::from(*n), marks));
                }
            }
        } else if filter.passes(&row, None) {
            add(&row, None, &whole(&row, marks));
        }
    }
    left_out
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
    clauses: Vec<Clause<Test<'filter>>>,
    splits: bool,
    inverted: bool,
}

enum Test<'filter> {
    Src(Vec<bool>),
    Dst(Vec<bool>),
    Any(Vec<bool>),
    Port(&'filter [(u16, u16)]),
    Protocol(&'filter [khan_api::Protocol]),
    State(&'filter [StateTerm]),
    Node { observers: Vec<bool>, ends: Vec<bool> },
    Previous(Vec<bool>),
    Member(Box<Keyer>, RowKey),
}

impl<'filter> Compiled<'filter> {
    fn new(filter: &'filter Filter, inverted: bool, view: &View) -> Self {
        let looks_at_states = |term: &RowTerm| match term {
            RowTerm::State(_) => true,
            RowTerm::Member(by, _) => by.state,
            _ => false,
        };
        Self {
            splits: filter.row_terms().any(|(term, _)| looks_at_states(term)),
            clauses: filter.rows.iter().map(|clause| clause.map(&mut |term| Test::new(term, view))).collect(),
            inverted: inverted && !filter.rows.is_empty(),
        }
    }

    /// Whether states matter, so that a row may pass in part.
    fn looks_at_states(&self) -> bool {
        self.splits
    }

    /// Whether connections of `row` in `state` pass; `None` for all of them, when states do not matter.
    fn passes(&self, row: &RowRef<'_>, state: Option<State>) -> bool {
        self.clauses.iter().all(|clause| clause.holds(&|test| test.holds(row, state))) != self.inverted
    }
}

impl<'filter> Test<'filter> {
    fn new(term: &'filter RowTerm, view: &View) -> Self {
        let ends = |selectors: &[Selector]| -> Vec<bool> {
            view.endpoints.iter().map(|endpoint| selectors.iter().any(|selector| selector.matches(endpoint))).collect()
        };
        let nodes = |fits: &dyn Fn(&str) -> bool| {
            let fits = |name: &str| !name.is_empty() && fits(name);
            Self::Node {
                observers: view.nodes.iter().map(|node| fits(&node.node)).collect(),
                ends: view.endpoints.iter().map(|endpoint| fits(&endpoint.owner.node)).collect(),
            }
        };
        match term {
            RowTerm::Src(selectors) => Self::Src(ends(selectors)),
            RowTerm::Dst(selectors) => Self::Dst(ends(selectors)),
            RowTerm::Any(selectors) => Self::Any(ends(selectors)),
            RowTerm::Port(ranges) => Self::Port(ranges),
            RowTerm::Protocol(protocols) => Self::Protocol(protocols),
            RowTerm::State(states) => Self::State(states),
            RowTerm::Node(globs) => nodes(&|name| globs.iter().any(|glob: &Glob| glob.matches(name))),
            RowTerm::Like(Subject::Node, pattern) => nodes(&|name| pattern.fits(name)),
            RowTerm::Like(subject, pattern) => {
                let fits = view.endpoints.iter().map(|endpoint| subject.fits(pattern, endpoint)).collect();
                match subject {
                    Subject::Src => Self::Src(fits),
                    Subject::Dst => Self::Dst(fits),
                    _ => Self::Any(fits),
                }
            }
            RowTerm::Previous => Self::Previous(view.endpoints.iter().map(|endpoint| endpoint.previous).collect()),
            RowTerm::Member(by, key) => Self::Member(Box::new(Keyer::new(view, *by)), *key),
        }
    }

    fn holds(&self, row: &RowRef<'_>, state: Option<State>) -> bool {
        let (src, dst, backend) = (row.src as usize, row.dst as usize, row.backend as usize);
        let service = |ends: &[bool]| row.service.is_some_and(|service| ends[service as usize]);
        match self {
            Self::Src(ends) => ends[src],
            Self::Dst(ends) => ends[dst] || ends[backend] || service(ends),
            Self::Any(ends) => ends[src] || ends[dst] || ends[backend] || service(ends),
            Self::Previous(ends) => ends[src] || ends[dst] || ends[backend],
            Self::Port(ranges) => {
                let within = |port| ranges.iter().any(|(low, high)| (*low..=*high).contains(&port));
                (row.row.port > 0 && within(row.row.port)) || (row.row.backend_port > 0 && within(row.row.backend_port))
            }
            Self::Protocol(protocols) => row.row.protocol.is_some_and(|protocol| protocols.contains(&protocol)),
            Self::State(states) => state.is_some_and(|state| states.iter().any(|term| term.holds(state))),
            Self::Node { observers, ends } => observers[row.node as usize] || ends[src] || ends[dst] || ends[backend],
            Self::Member(keyer, key) => keyer.key(row, state) == *key,
        }
    }
}

impl Subject {
    /// Whether this of an endpoint fits the pattern.
    pub(crate) fn fits(self, pattern: &Pattern, endpoint: &Endpoint) -> bool {
        let OwnerRef { kind, ns, app, workload, name, node } = endpoint.owner.as_deref();
        let fit = |text: &str| !text.is_empty() && pattern.fits(text);
        let scoped = |name: &str| !ns.is_empty() && !name.is_empty() && pattern.fits(&format!("{ns}/{name}"));
        let address = || endpoint.ip.is_some_and(|ip| fit(&ip.to_string()));
        match self {
            Self::Src | Self::Dst | Self::Any => {
                endpoint.owner.texts().into_iter().any(fit) || [app, name].into_iter().any(scoped) || address()
            }
            Self::Namespace => fit(ns),
            Self::App => {
                let names = [app, workload, name];
                matches!(kind, Kind::Pod | Kind::Service) && names.into_iter().any(|name| fit(name) || scoped(name))
            }
            Self::Pod => kind == Kind::Pod && fit(name),
            Self::Service => kind == Kind::Service && fit(name),
            Self::Workload => kind == Kind::Pod && fit(workload),
            Self::Address => address(),
            Self::Node => fit(node),
        }
    }
}

impl StateTerm {
    /// Whether a connection in `state` is meant.
    pub(crate) fn holds(self, state: State) -> bool {
        match self {
            Self::One(one) => one == state,
            Self::Part(part) => state != UNTOLD && state.lifecycle() == part,
        }
    }
}
