//! The columns of the list on the screen: panels draw them, clicks on heads sort by them, and keys scroll them.

use crate::model::SortBy;
use crate::screen::columns::Column as Id;
use crate::screen::format;
use crate::screen::layout::table::{Column, LEAD, Order, place};
use crate::screen::tab::Tab;

use super::App;
use super::question::Delta;

/// A column of the list of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeColumn {
    Node,
    Conns,
    Delta,
    Entries,
    Limit,
    Fill,
    Full,
    Age,
    State,
}

impl NodeColumn {
    /// The order that it stands for.
    const fn sort(self) -> Option<SortBy> {
        match self {
            Self::Node => Some(SortBy::Node),
            Self::Conns => Some(SortBy::Connections),
            Self::Delta => Some(SortBy::Delta),
            _ => None,
        }
    }
}

impl App {
    /// The chosen columns of a list of connections. As names get too narrow, TREND, EST%, /MIN, PORT and D leave in this
    /// order; the column that the list is sorted by stays.
    pub(crate) fn connection_columns(&self) -> Vec<Column<Id>> {
        let width = self.size().0;
        let names = self.answers.names();
        let column = |id: Id| {
            let (head, place) = (&id.entry().head, &id.entry().place);
            let cells = match id {
                Id::Delta if width < 100 => place.width - 1,
                Id::Flags => match width {
                    0..72 => 5,
                    72..100 => 10,
                    100..120 => 9,
                    120..140 => place.width,
                    _ => 20,
                },
                _ => place.width,
            };
            let column = if head.right { Column::right } else { Column::left };
            let column = column(id, self.head(id), cells).leaves(place.needs, place.rank);
            let column = match id {
                Id::Source => column.key().wants(names.source),
                Id::Destination => column.key().wants(names.destination).or_short("DEST"),
                Id::Backend => column.key().wants(names.backend),
                Id::Node => column.key().wants(names.node),
                Id::Plain("protocol" | "state" | "port") => column.key(),
                Id::Trend | Id::Flags => column.grows(),
                _ => column,
            };
            match id.sort().and_then(|by| self.order(by)) {
                order @ Some(_) => column.sorted(order).leaves(0, place.rank),
                None => column,
            }
        };
        self.settings.columns().of(&self.lists.group_by()).into_iter().map(column).collect()
    }

    fn head(&self, id: Id) -> String {
        match id {
            Id::Delta => self.delta_head(),
            Id::Trend => format!("TREND {}", format::span(self.question.base().trend)),
            id => id.entry().head.header.into(),
        }
    }

    /// The columns of the list of nodes.
    pub(crate) fn node_columns(&self) -> Vec<Column<NodeColumn>> {
        use NodeColumn::{Age, Conns, Delta, Entries, Fill, Full, Limit, Node, State};
        let columns = [
            Column::names(Node, "NODE").key().wants(self.answers.names().node),
            Column::right(Conns, "CONNS", 9),
            Column::right(Delta, self.delta_head(), 8).leaves(12, 2),
            Column::right(Entries, "ENTRIES", 9).leaves(12, 3),
            Column::right(Limit, "MAX", 9).leaves(16, 4),
            Column::right(Fill, "FILL", 5),
            Column::right(Full, "FULL IN", 11).leaves(16, 5),
            Column::right(Age, "AGE", 7).leaves(14, 6),
            Column::left(State, "AGENT", 7).grows(),
        ];
        let sorted = |column: Column<NodeColumn>| {
            let order = column.id.sort().and_then(|by| self.order(by));
            column.sorted(order)
        };
        columns.into_iter().map(sorted).collect()
    }

    /// The head of the column of changes, which says since when or per what.
    pub(crate) fn delta_head(&self) -> String {
        match self.question.delta() {
            Delta::Window => format!("D {}", format::span(self.question.base().window)),
            Delta::Baseline => "D base".into(),
            Delta::Rate => "D /MIN".into(),
        }
    }

    /// The direction if the list is sorted by this.
    fn order(&self, by: SortBy) -> Option<Order> {
        let sort = self.lists.list().sort;
        let order = if sort.reverse == by.ascends() { Order::Descending } else { Order::Ascending };
        (sort.by == by).then_some(order)
    }

    /// What the list is ordered by with a click at column `x` of its heads.
    pub(crate) fn order_at(&self, x: u16) -> Option<SortBy> {
        let width = self.size().0;
        let shift = self.lists.list().shift;
        let by = match self.lists.tab() {
            Tab::Leaks | Tab::Agents => None,
            Tab::Nodes => place(&self.node_columns(), width, LEAD, shift).at(x)?.sort(),
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => {
                place(&self.connection_columns(), width, LEAD, shift).at(x)?.sort()
            }
        };
        by.filter(|by| self.lists.orders().any(|order| order == *by))
    }

    /// How many columns are scrolled away, and whether there are more at the right.
    pub(crate) fn scrolled(&self) -> (usize, bool) {
        let (width, shift) = (self.size().0, self.lists.list().shift);
        match self.lists.tab() {
            Tab::Leaks | Tab::Agents => (0, false),
            Tab::Nodes => {
                let columns = self.node_columns();
                let placed = place(&columns, width, LEAD, shift);
                (placed.shift, placed.more)
            }
            Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => {
                let columns = self.connection_columns();
                let placed = place(&columns, width, LEAD, shift);
                (placed.shift, placed.more)
            }
        }
    }
}
