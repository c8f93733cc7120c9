//! What commands print and screens show, before it has a format: columns for people, items for programs.
//!
//! Each kind of row has one registry of columns, which is all that any output knows of them: the name that `--columns` takes,
//! the header, the order, the place on a screen, and how a row's cell is made. A new column is an entry there.
//!
//! ```text
//! connections  rows of a projection        (khan top, the lists and exports of the screen)
//! leaks        suspects of the leak rule   (khan leaks)
//! problems     what is wrong                 (khan problems)
//! balance      services and their endpoints  (khan balance)
//! diff         rows of two views           (khan diff)
//! recordings   what is in them             (khan replay)
//! nodes        nodes and their agents      (khan agents)
//! single       single connections          (khan conns)
//! ```

pub(crate) mod cell;
pub(crate) mod column;
pub(crate) mod idle;
pub(crate) mod item;
pub(crate) mod scope;
pub(crate) mod connections;
pub(crate) mod leaks;
pub(crate) mod problems;
pub(crate) mod balance;
pub(crate) mod diff;
pub(crate) mod recordings;
pub(crate) mod nodes;
pub(crate) mod single;

use serde_json::Value;

pub(crate) use cell::Cell;
pub(crate) use column::{Column, Head};

/// A command's answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// `ConnectionList` and the like.
    pub kind: &'static str,
    /// Everything that is not a row; partial data must be visible here.
    pub metadata: Value,
    /// Columns, one for each cell of a row.
    pub columns: Vec<Head>,
    /// Rows.
    pub rows: Vec<Line>,
    /// What stderr says when there are no rows: sentences, each on its line.
    pub empty: String,
}

/// A row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// One for each column.
    pub cells: Vec<Cell>,
    /// The row for programs.
    pub item: Value,
    /// What `-o name` prints.
    pub name: String,
}

/// Every column that any report has.
pub(crate) fn heads() -> impl Iterator<Item = Head> {
    let connections = connections::COLUMNS.iter().map(|column| column.head);
    let plain = [leaks::columns(), balance::heads_of(), diff::columns(), recordings::columns()];
    let others = plain.into_iter().chain([problems::heads_of(), nodes::heads_of(), single::heads_of()]);
    connections.chain(others.flatten())
}
