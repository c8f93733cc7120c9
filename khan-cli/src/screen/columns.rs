//! The columns of the lists of connections: those of the registry, `report::connections`, some of which the screen
//! paints in its own way.

use std::collections::HashSet;

use crate::model::{GroupBy, SortBy};
use crate::report::column::UnknownColumn;
use crate::report::connections::{self, COLUMNS};

use super::tab::Tab;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the registry says what each shows")]
pub enum Column {
    Source,
    Destination,
    Backend,
    Node,
    Conns,
    Delta,
    Rate,
    Trend,
    Flags,
    /// Painted as its cells say, by its name in the registry.
    Plain(&'static str),
}

/// Columns that the screen paints in its own way, with their names in the registry.
const PAINTED: [(Column, &str); 9] = [
    (Column::Source, "source"),
    (Column::Destination, "destination"),
    (Column::Backend, "backend"),
    (Column::Node, "node"),
    (Column::Conns, "conns"),
    (Column::Delta, "delta"),
    (Column::Rate, "rate"),
    (Column::Trend, "trend"),
    (Column::Flags, "flags"),
];

impl Column {
    /// Every column, in the order drawn.
    pub fn all() -> impl Iterator<Item = Self> {
        COLUMNS.iter().map(Self::of)
    }

    fn of(column: &'static connections::Column) -> Self {
        let name = column.head.name;
        PAINTED.iter().find(|(_, painted)| *painted == name).map_or(Self::Plain(name), |(column, _)| *column)
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        connections::column(name).map(Self::of)
    }

    /// Its name, as `--columns` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(name) => name,
            painted => PAINTED.iter().find(|(column, _)| *column == painted).map_or("", |(_, name)| name),
        }
    }

    /// What is known of it everywhere.
    pub fn entry(self) -> &'static connections::Column {
        connections::column(self.name()).unwrap_or(&COLUMNS[0])
    }

    /// The order that it stands for.
    pub fn sort(self) -> Option<SortBy> {
        self.entry().sort
    }

    /// Whether rows of this grouping have it at all.
    pub fn applies(self, by: &GroupBy) -> bool {
        (self.entry().applies)(by)
    }

    /// Whether it is shown without being asked for.
    fn usual(self) -> bool {
        self.entry().place.usual
    }
}

/// What the rows of a view can be ordered by, in the order of its columns.
pub fn orders(tab: Tab, by: GroupBy) -> impl Iterator<Item = SortBy> {
    let all = Column::all().filter(move |column| column.applies(&by)).filter_map(Column::sort);
    all.filter(move |order| match tab {
        Tab::Nodes => matches!(order, SortBy::Node | SortBy::Connections | SortBy::Delta),
        Tab::Agents | Tab::Problems | Tab::Leaks => false,
        Tab::Edges | Tab::Sources | Tab::Dests | Tab::External => true,
    })
}

/// What the user has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Every column on.
    pub wide: bool,
    /// Columns that are not as usual.
    pub turned: HashSet<Column>,
}

impl Choice {
    /// Only these columns, if every name is known.
    pub fn only(names: &[String]) -> Result<Self, UnknownColumn> {
        let unknown = |name: &str| UnknownColumn::new(name, COLUMNS.iter().map(|column| column.head.name));
        let mut wanted = HashSet::new();
        for name in names {
            wanted.insert(Column::from_name(name).ok_or_else(|| unknown(name))?);
        }
        let turned = Column::all().filter(|column| column.usual() != wanted.contains(column)).collect();
        Ok(Self { wide: false, turned })
    }

    /// Whether a column is to be shown.
    pub fn shows(&self, column: Column) -> bool {
        self.wide || column.usual() != self.turned.contains(&column)
    }

    /// Shows or hides a column.
    pub fn turn(&mut self, column: Column) {
        if self.wide {
            self.wide = false;
            self.turned = Column::all().filter(|column| !column.usual()).collect();
        }
        if !self.turned.remove(&column) {
            self.turned.insert(column);
        }
    }

    /// The columns of a grouping, in order.
    pub fn of(&self, by: &GroupBy) -> Vec<Column> {
        Column::all().filter(|column| column.applies(by) && self.shows(*column)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_the_grouping_and_the_choice() {
        let mut choice = Choice::default();
        let names = |choice: &Choice, by| choice.of(&by).iter().map(|c| c.name()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(&choice, GroupBy::EDGES), "source destination port conns delta rate est trend flags");
        choice.turn(Column::Trend);
        choice.turn(Column::Plain("idle"));
        assert_eq!(names(&choice, GroupBy::NODES), "node conns delta rate est idle flags");
        choice.wide = true;
        assert_eq!(choice.of(&GroupBy::SOURCES).len(), 17);
        choice.turn(Column::Plain("idle"));
        assert!(!choice.wide && !choice.shows(Column::Plain("idle")) && choice.shows(Column::Plain("halfclosed")));
    }

    #[test]
    fn columns_can_be_named() {
        let choice = Choice::only(&["source".into(), "conns".into(), "idle".into()]).unwrap();
        assert_eq!(choice.of(&GroupBy::EDGES), [Column::Source, Column::Conns, Column::Plain("idle")]);
        let error = Choice::only(&["soruce".into()]).unwrap_err().to_string();
        assert!(error.starts_with("there is no column \"soruce\" (did you mean source?)"), "{error}");
        // Whatever a pipe takes, the screen takes.
        for column in &COLUMNS {
            assert_eq!(Column::from_name(column.head.name).map(Column::name), Some(column.head.name));
        }
    }
}
