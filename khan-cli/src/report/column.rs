//! Columns: how they are called, and what stands in them.

use super::cell::Cell;
use crate::nearest::nearest;

/// How a column is called and laid out in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// As `--columns` takes it.
    pub name: &'static str,
    /// Its header.
    pub header: &'static str,
    /// Numbers are aligned to the right.
    pub right: bool,
    /// Only with `-o wide`, or when asked for by name.
    pub wide: bool,
    /// Only when asked for by name.
    pub asked: bool,
}

impl Head {
    /// A column of text.
    pub const fn text(name: &'static str, header: &'static str) -> Self {
        Self { name, header, right: false, wide: false, asked: false }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str, header: &'static str) -> Self {
        Self { name, header, right: true, wide: false, asked: false }
    }

    /// The same, only with `-o wide`.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    /// The same, only when it is asked for by name.
    #[must_use]
    pub const fn asked(self) -> Self {
        Self { asked: true, ..self }
    }
}

/// A column of rows of type `R`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<R> {
    /// How it is called.
    pub head: Head,
    /// A row's cell.
    pub cell: fn(&R) -> Cell,
}

impl<R> Column<R> {
    /// A column with this head and these cells.
    pub(crate) const fn new(head: Head, cell: fn(&R) -> Cell) -> Self {
        Self { head, cell }
    }
}

/// The heads of `columns`.
pub(super) fn heads<R>(columns: &[Column<R>]) -> Vec<Head> {
    columns.iter().map(|column| column.head).collect()
}

/// The cells of a row.
pub(super) fn cells<R>(columns: &[Column<R>], row: &R) -> Vec<Cell> {
    columns.iter().map(|column| (column.cell)(row)).collect()
}

/// No column has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no column {name:?}{}; columns are {all}", nearest.as_ref().map(|known| format!(" (did you mean {known}?)")).unwrap_or_default())]
pub struct UnknownColumn {
    name: String,
    nearest: Option<String>,
    all: String,
}

impl UnknownColumn {
    /// `name` is none of `known`.
    pub fn new<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.collect();
        let nearest = nearest(name, known.iter().copied()).map(ToOwned::to_owned);
        Self { name: name.to_owned(), nearest, all: known.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = |name| UnknownColumn::new(name, ["source", "destination", "conns"].into_iter()).to_string();
        assert_eq!(
            error("soruce"),
            "there is no column \"soruce\" (did you mean source?); columns are source, destination, conns"
        );
        assert_eq!(error("colour"), "there is no column \"colour\"; columns are source, destination, conns");
    }
}
