//! The columns of the lists of connections.

use std::collections::HashSet;

use crate::model::{GroupBy, SortBy};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "COLUMNS says what each shows")]
pub enum Column {
    Source,
    Destination,
    Backend,
    Node,
    Protocol,
    State,
    Port,
    Conns,
    Delta,
    Rate,
    Est,
    Idle,
    HalfClosed,
    Opening,
    Addresses,
    Trend,
    Flags,
}

/// Every column with its name in the chooser and what it shows, in the order drawn.
pub const COLUMNS: [(Column, &str, &str); 17] = [
    (Column::Source, "source", "who opened the connections"),
    (Column::Destination, "destination", "what was dialled"),
    (Column::Backend, "backend", "who answers"),
    (Column::Node, "node", "whose table holds them"),
    (Column::Protocol, "proto", "transport"),
    (Column::State, "state", "connection tracking state"),
    (Column::Port, "port", "port dialled"),
    (Column::Conns, "conns", "connections now"),
    (Column::Delta, "delta", "change over the window or since the baseline"),
    (Column::Rate, "rate", "change per minute"),
    (Column::Est, "est", "established share, percent"),
    (Column::Idle, "idle", "established, no packet for the agent's idle threshold"),
    (Column::HalfClosed, "half", "half-closed: one side has yet to close"),
    (Column::Opening, "opening", "handshake not complete"),
    (Column::Addresses, "addrs", "addresses at both ends"),
    (Column::Trend, "trend", "connections over time"),
    (Column::Flags, "flags", "RISING NEW UNK STALE GHOST"),
];

impl Column {
    /// Its name in the chooser.
    pub fn name(self) -> &'static str {
        COLUMNS.iter().find(|(column, ..)| *column == self).map_or("", |(_, name, _)| name)
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        COLUMNS.iter().find(|(_, known, _)| *known == name).map(|(column, ..)| *column)
    }

    /// The order that it stands for.
    pub const fn sort(self) -> Option<SortBy> {
        Some(match self {
            Self::Source => SortBy::Source,
            Self::Destination => SortBy::Destination,
            Self::Node => SortBy::Node,
            Self::State => SortBy::State,
            Self::Port => SortBy::Port,
            Self::Conns => SortBy::Connections,
            Self::Delta => SortBy::Delta,
            Self::Rate => SortBy::Rate,
            Self::Est => SortBy::Established,
            Self::Idle => SortBy::Idle,
            Self::HalfClosed => SortBy::HalfClosed,
            Self::Backend | Self::Protocol | Self::Opening | Self::Addresses | Self::Trend | Self::Flags => {
                return None;
            }
        })
    }

    /// Whether rows of this grouping have it at all.
    pub const fn applies(self, by: &GroupBy) -> bool {
        match self {
            Self::Source => by.src.is_some(),
            Self::Destination => by.dst.is_some(),
            Self::Backend => by.behind.is_some(),
            Self::Node => by.node,
            Self::Protocol => by.protocol,
            Self::State => by.state,
            Self::Port => by.port,
            _ => true,
        }
    }

    /// Whether it is shown without being asked for.
    const fn usual(self) -> bool {
        !matches!(self, Self::Idle | Self::HalfClosed | Self::Opening | Self::Addresses)
    }
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
    /// Only these columns, if every name is known; the unknown name otherwise.
    pub fn only(names: &[String]) -> Result<Self, String> {
        let mut wanted = HashSet::new();
        for name in names {
            wanted.insert(Column::from_name(name).ok_or_else(|| name.clone())?);
        }
        let turned = COLUMNS.iter().map(|(column, ..)| *column).filter(|c| c.usual() != wanted.contains(c)).collect();
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
            self.turned = COLUMNS.iter().map(|(c, ..)| *c).filter(|c| !c.usual()).collect();
        }
        if !self.turned.remove(&column) {
            self.turned.insert(column);
        }
    }

    /// The columns of a grouping, in order.
    pub fn of(&self, by: &GroupBy) -> Vec<Column> {
        let all = COLUMNS.iter().map(|(column, ..)| *column);
        all.filter(|column| column.applies(by) && self.shows(*column)).collect()
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
        choice.turn(Column::Idle);
        assert_eq!(names(&choice, GroupBy::NODES), "node conns delta rate est idle flags");
        choice.wide = true;
        assert_eq!(choice.of(&GroupBy::SOURCES).len(), 11);
        choice.turn(Column::Idle);
        assert!(!choice.wide && !choice.shows(Column::Idle) && choice.shows(Column::HalfClosed));
    }

    #[test]
    fn columns_can_be_named() {
        let choice = Choice::only(&["source".into(), "conns".into(), "idle".into()]).unwrap();
        assert_eq!(choice.of(&GroupBy::EDGES), [Column::Source, Column::Conns, Column::Idle]);
        assert_eq!(Choice::only(&["colour".into()]), Err("colour".into()));
    }
}
