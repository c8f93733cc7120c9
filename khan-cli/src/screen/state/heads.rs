//! The columns of the list on the screen: panels draw them, clicks on heads sort by them, and keys scroll them.

use std::time::Duration;

use crate::model::{NodeStatus, SortBy};
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
    /// Which table the columns before show.
    Table,
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
                Id::Delta | Id::Rate if width < 100 => 7,
                // Room for `DELTA 118s` and the sign of the order, so that the columns stay where they are as the time grows.
                Id::Delta => 10 + if self.order(SortBy::Delta).is_some() { 2 } else { 0 },
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
            let sorted = id.sort().and_then(|by| self.order(by));
            let room = if sorted.is_some() { cells.saturating_sub(2) } else { cells };
            let column = column(id, self.head(id, room), cells).leaves(place.needs, place.rank);
            let column = match id {
                Id::Source => column.key().wants(names.source),
                Id::Destination => column.key().wants(names.destination).or_short("DEST"),
                Id::Backend => column.key().wants(names.backend),
                Id::Node => column.key().wants(names.node),
                Id::Plain("protocol" | "state" | "port") => column.key(),
                Id::Trend => column.grows().or_short("TREND"),
                Id::Flags => column.grows(),
                _ => column,
            };
            match sorted {
                Some(_) => column.sorted(sorted).leaves(0, place.rank),
                None => column,
            }
        };
        let chosen = self.settings.columns().of(&self.lists.group_by()).into_iter();
        // The rate is shown once: where the column of changes shows it, not beside it again.
        chosen.filter(|id| *id != Id::Rate || self.question.delta() != Delta::Rate).map(column).collect()
    }

    fn head(&self, id: Id, cells: u16) -> String {
        match id {
            Id::Delta => self.delta_head(cells),
            Id::Rate if cells < 8 => "/MIN".into(),
            Id::Trend => self.trend_head(),
            id => id.entry().head.header(),
        }
    }

    /// The head of the trends, with the time that they have: all that is asked for, or since when there are samples.
    fn trend_head(&self) -> String {
        let wanted = self.question.base().trend;
        match self.data.history().covers(wanted) {
            span if span == wanted => format!("TREND {}", format::span(wanted)),
            Duration::ZERO => "TREND".into(),
            // There the column has slack to grow into.
            span if self.size().0 >= 120 => format!("TREND since {}", format::age(span)),
            span => format!("TREND {}", format::age(span)),
        }
    }

    /// The columns of the list of nodes.
    pub(crate) fn node_columns(&self) -> Vec<Column<NodeColumn>> {
        use NodeColumn::{Age, Conns, Delta, Entries, Fill, Full, Limit, Node, State, Table};
        let sorted_by_delta = self.order(SortBy::Delta).is_some();
        let nodes = &self.data.view().nodes;
        // Where all nodes have the kernel's table only, it needs no name.
        let tables = nodes.iter().any(NodeStatus::has_maps).then(|| {
            let names = nodes.iter().filter_map(NodeStatus::fullest).map(|table| table.name.len());
            Column::left(Table, "TABLE", u16::try_from(names.fold(5, usize::max)).unwrap_or(u16::MAX)).leaves(14, 7)
        });
        let columns = [
            Column::names(Node, "NODE").key().wants(self.answers.names().node),
            Column::right(Conns, "CONNS", 9),
            Column::right(Delta, self.delta_head(if sorted_by_delta { 7 } else { 9 }), 9).leaves(12, 2),
            Column::right(Entries, "ENTRIES", 9).leaves(12, 3),
            Column::right(Limit, "LIMIT", 9).leaves(16, 4),
            Column::right(Fill, "FILL%", 5),
            Column::right(Full, "FULL IN", 11).leaves(16, 5),
            Column::right(Age, "AGE", 7).leaves(14, 6),
            Column::left(State, "STATE", 7).grows(),
        ];
        let sorted = |column: Column<NodeColumn>| {
            let order = column.id.sort().and_then(|by| self.order(by));
            column.sorted(order)
        };
        columns.into_iter().chain(tables).map(sorted).collect()
    }

    /// The head of the column of changes, for `cells` cells: since when, or per what. The time is the one that is there, which
    /// is less than the window while the history is younger.
    pub(crate) fn delta_head(&self, cells: u16) -> String {
        let window = self.question.base().window;
        let span = match self.data.history().compares(window) {
            Duration::ZERO => window,
            span => span,
        };
        let [long, short] = match self.question.delta() {
            Delta::Window => ["DELTA", "D"].map(|word| format!("{word} {}", format::span_brief(span))),
            Delta::Baseline => ["DELTA base", "D base"].map(str::to_owned),
            Delta::Rate => ["RATE/MIN", "/MIN"].map(str::to_owned),
        };
        if long.len() <= cells.into() { long } else { short }
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
            Tab::Problems | Tab::Leaks | Tab::Agents => None,
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
            Tab::Problems | Tab::Leaks | Tab::Agents => (0, false),
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
