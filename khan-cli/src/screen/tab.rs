//! The views and the groupings that Tab goes through in each.

use khan_api::Kind;

use crate::model::filter::{Filter, RowTerm};
use crate::model::group_end::Grain;
use crate::model::{GroupBy, Selector};

/// A view. In the order of the number keys, then what stands in the place of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tab {
    /// Source app to destination app.
    #[default]
    Edges,
    /// By source.
    Sources,
    /// By destination.
    Dests,
    /// By node, with the fill of its table.
    Nodes,
    /// Clients and servers outside the cluster, and addresses that nobody is known to own.
    External,
    /// What is wrong, worst first.
    Problems,
    /// Health of the agents.
    Agents,
    /// What keeps growing: a part of [`Tab::Problems`] with its past and its rule, shown in its place.
    Leaks,
}

impl Tab {
    /// Every view.
    pub const ALL: [Self; 8] = [
        Self::Edges,
        Self::Sources,
        Self::Dests,
        Self::Nodes,
        Self::External,
        Self::Problems,
        Self::Agents,
        Self::Leaks,
    ];

    /// Those with a number key, in the order of their keys: the line of views.
    pub const NUMBERED: [Self; 7] =
        [Self::Edges, Self::Sources, Self::Dests, Self::Nodes, Self::External, Self::Problems, Self::Agents];

    /// The view on the line of views that it belongs to.
    #[must_use]
    pub const fn numbered(self) -> Self {
        if let Self::Leaks = self { Self::Problems } else { self }
    }

    /// As the tabs name it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Edges => "Edges",
            Self::Sources => "Sources",
            Self::Dests => "Dests",
            Self::Nodes => "Nodes",
            Self::External => "External",
            Self::Problems => "Problems",
            Self::Agents => "Agents",
            Self::Leaks => "Leaks",
        }
    }

    /// What its rows are, in the plural.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Edges => "edges",
            Self::Sources => "sources",
            Self::Dests => "destinations",
            Self::Nodes => "nodes",
            Self::External => "pairs",
            Self::Problems => "problems",
            Self::Agents => "agents",
            Self::Leaks => "suspects",
        }
    }

    /// Its place among [`Tab::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the view has columns of its own that cannot be chosen.
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::Nodes | Self::Agents | Self::Problems | Self::Leaks)
    }

    /// The groupings that Tab goes through; the first is the view's own.
    pub const fn groupings(self) -> &'static [Grouping] {
        match self {
            Self::Edges | Self::Problems | Self::Leaks => EDGES,
            Self::Sources => SOURCES,
            Self::Dests => DESTINATIONS,
            Self::Nodes | Self::Agents => NODES,
            Self::External => EXTERNAL,
        }
    }
}

/// One way to group a view's connections.
#[derive(Debug)]
pub struct Grouping {
    /// What the header calls its rows.
    pub name: &'static str,
    /// What makes a row.
    pub by: GroupBy,
    /// Which end must be outside, for the view of what is.
    pub outside: Option<End>,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client.
    Source,
    /// What was dialled or answers.
    Destination,
    /// Either.
    Any,
}

impl Grouping {
    /// The term that its rows must pass besides the user's filter.
    pub fn restriction(&self) -> Option<Filter> {
        let outside = || vec![Selector::Kind(Kind::External), Selector::Kind(Kind::Unknown)];
        let term = match self.outside? {
            End::Source => RowTerm::Src(outside()),
            End::Destination => RowTerm::Dst(outside()),
            End::Any => RowTerm::Any(outside()),
        };
        Some(Filter::default().and_row(term))
    }
}

const fn by(name: &'static str, by: GroupBy) -> Grouping {
    Grouping { name, by, outside: None }
}

const NONE: GroupBy = GroupBy::NONE;
const APP: Option<Grain> = Some(Grain::App);

const EDGES: &[Grouping] = &[
    by("edges", GroupBy::EDGES),
    by("sources", GroupBy::SOURCES),
    by("destinations", GroupBy::DESTINATIONS),
    by("nodes", GroupBy::NODES),
    by("source pods", GroupBy { src: Some(Grain::Name), dst: APP, port: true, ..NONE }),
    by("answering pods", GroupBy { src: APP, dst: Some(Grain::Name), port: true, ..NONE }),
    by("ports", GroupBy { port: true, protocol: true, ..NONE }),
    by("states", GroupBy { state: true, protocol: true, ..NONE }),
];

const SOURCES: &[Grouping] = &[
    by("sources", GroupBy::SOURCES),
    by("source pods", GroupBy { src: Some(Grain::Name), ..NONE }),
    by("source workloads", GroupBy { src: Some(Grain::Workload), ..NONE }),
    by("source namespaces", GroupBy { src: Some(Grain::Namespace), ..NONE }),
    by("source nodes", GroupBy { src: Some(Grain::Node), ..NONE }),
    by("source addresses", GroupBy { src: Some(Grain::Address), ..NONE }),
];

const DESTINATIONS: &[Grouping] = &[
    by("destinations", GroupBy { dst: APP, port: true, ..NONE }),
    by("answering pods", GroupBy { dst: Some(Grain::Name), port: true, ..NONE }),
    by("answering apps", GroupBy { dst: APP, backend: true, port: true, ..NONE }),
    by("destination namespaces", GroupBy { dst: Some(Grain::Namespace), ..NONE }),
    by("destination addresses", GroupBy { dst: Some(Grain::Address), port: true, ..NONE }),
];

const NODES: &[Grouping] = &[by("nodes", GroupBy::NODES)];

const EXTERNAL: &[Grouping] = &[
    Grouping {
        name: "outside clients",
        by: GroupBy { src: Some(Grain::Address), dst: APP, port: true, ..NONE },
        outside: Some(End::Source),
    },
    Grouping {
        name: "outside servers",
        by: GroupBy { src: APP, dst: Some(Grain::Address), port: true, ..NONE },
        outside: Some(End::Destination),
    },
    Grouping { name: "outside pairs", by: GroupBy::EDGES, outside: Some(End::Any) },
];

/// The lists that the details of a row show: the row's connections split more finely.
pub fn panes(row: &GroupBy) -> Vec<Grouping> {
    let fine = |grain: Option<Grain>| matches!(grain, Some(Grain::Name | Grain::Address));
    let mut panes = Vec::new();
    if !fine(row.src) && (row.src.is_some() || fine(row.dst)) {
        panes.push(by("source pod", GroupBy { src: Some(Grain::Name), ..NONE }));
    }
    if row.src.is_none() && !fine(row.dst) {
        panes.push(by("source", GroupBy::SOURCES));
    }
    if row.dst.is_none() {
        panes.push(by("destination", GroupBy { dst: APP, port: true, ..NONE }));
    } else if !fine(row.dst) {
        panes.push(by("answering pod", GroupBy { dst: Some(Grain::Name), ..NONE }));
    }
    if panes.is_empty() {
        panes.push(by("source address", GroupBy { src: Some(Grain::Address), ..NONE }));
        panes.push(by("answering address", GroupBy { dst: Some(Grain::Address), backend: true, ..NONE }));
    }
    panes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_begins_with_its_own_grouping() {
        for (i, tab) in Tab::ALL.into_iter().enumerate() {
            assert_eq!(tab.index(), i);
            assert!(!tab.groupings().is_empty());
            for (j, grouping) in tab.groupings().iter().enumerate() {
                assert!(tab.groupings()[..j].iter().all(|other| other.by != grouping.by), "{}", grouping.name);
            }
        }
    }

    #[test]
    fn details_are_finer_than_the_row() {
        let names = |by: GroupBy| panes(&by).iter().map(|pane| pane.name).collect::<Vec<_>>();
        assert_eq!(names(GroupBy::EDGES), ["source pod", "answering pod"]);
        assert_eq!(names(GroupBy::SOURCES), ["source pod", "destination"]);
        assert_eq!(names(GroupBy::DESTINATIONS), ["source", "answering pod"]);
        assert_eq!(names(GroupBy::NODES), ["source", "destination"]);
        assert_eq!(names(EDGES[4].by), ["answering pod"]);
    }

    #[test]
    fn the_outside_is_a_restriction_of_one_end() {
        assert_eq!(EXTERNAL[0].restriction().unwrap().to_string(), "src:type/external,type/unknown");
        assert!(EDGES[0].restriction().is_none());
    }
}
