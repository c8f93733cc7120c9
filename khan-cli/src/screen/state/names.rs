//! How many cells the names of a list take.

use khan_api::Kind;

use crate::model::leak::Leak;
use crate::model::{GroupEnd, NodeStatus, Projection, Row, RowKey};
use crate::screen::items::{INDENT, other};
use crate::screen::text::cells;
use crate::screen::{format, text};

/// Cells that the longest name of each column takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of SOURCE.
    pub source: u16,
    /// Of DESTINATION.
    pub destination: u16,
    /// Of BACKEND.
    pub backend: u16,
    /// Of NODE.
    pub node: u16,
}

impl Names {
    /// Of rows, and of the parts of the expanded ones, which are indented.
    pub(super) fn of(projection: &Projection, children: &[(RowKey, Projection)]) -> Self {
        let mut names = Self::default();
        for row in &projection.rows {
            names.add(row, 0);
        }
        for row in children.iter().flat_map(|(_, parts)| &parts.rows) {
            names.add(row, INDENT);
        }
        if let Some(words) = other(projection) {
            let first = if projection.group_by.src.is_some() { &mut names.source } else { &mut names.destination };
            *first = (*first).max(cells(&words));
        }
        names
    }

    fn add(&mut self, row: &Row, indent: u16) {
        let ends = [
            (&mut self.source, row.src.as_ref().map(end)),
            (&mut self.destination, row.dst.as_ref().map(end)),
            (&mut self.backend, row.behind.as_ref().map(end)),
            (&mut self.node, row.node.as_deref().map(cells)),
        ];
        for (widest, taken) in ends {
            *widest = (*widest).max(taken.map_or(0, |taken| taken.saturating_add(indent)));
        }
    }

    /// Of suspects.
    pub(super) fn of_leaks(leaks: &[Leak]) -> Self {
        let mut names = Self::default();
        for leak in leaks {
            names.add(&leak.row, 0);
        }
        names
    }

    /// Of nodes, those without connections included, and of agents whose node is not known.
    pub(super) fn of_nodes(nodes: &[NodeStatus]) -> Self {
        let name = |node: &NodeStatus| cells(if node.node.is_empty() { &node.agent } else { &node.node });
        Self { node: nodes.iter().map(name).max().unwrap_or(0), ..Self::default() }
    }

    /// Enough for both, so that columns do not come and go with the rows of each snapshot.
    #[must_use]
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            source: self.source.max(other.source),
            destination: self.destination.max(other.destination),
            backend: self.backend.max(other.backend),
            node: self.node.max(other.node),
        }
    }
}

/// The number of addresses of an end that stands for several outside the cluster: ` (212 addrs)`.
pub(crate) fn addresses(end: &GroupEnd) -> Option<String> {
    (end.owner.kind == Kind::External && end.addresses > 1)
        .then(|| format!(" ({} addrs)", format::count(end.addresses.into())))
}

/// Cells of an end, its number of addresses included.
fn end(end: &GroupEnd) -> u16 {
    let taken = text::width(&end.text) + addresses(end).map_or(0, |count| count.len());
    u16::try_from(taken).unwrap_or(u16::MAX)
}
